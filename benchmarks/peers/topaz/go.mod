module ztfm/benchmarks/peers/topaz

go 1.26.0
