"""How the parts are made of each other: a module for each capability, joined by `services.wire`."""
