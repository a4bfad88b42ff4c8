"""The task: a pretrained sentence encoder tuned to smart-home intents by a federation of homes."""
