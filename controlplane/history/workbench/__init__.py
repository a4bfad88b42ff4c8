"""The policy workbench: what the authors' commands say of a folder, said of a draft, in a process of its own."""
