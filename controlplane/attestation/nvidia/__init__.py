"""NVIDIA's Hopper GPUs: measurements that the device signed, as SPDM carries them."""
