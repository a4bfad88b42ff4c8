"""What stands before a model server: whoever asks shows a capability, and gets no more than policy gives."""
