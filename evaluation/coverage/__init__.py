"""What the paper names, what this system does about it, the tests that show it, and what it costs and gains."""
