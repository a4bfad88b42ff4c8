"""Keep keys, weights and updates from whoever is not to see them. Pure: no network, no clock of its own."""
