"""A small NVFLARE job, guarded."""
