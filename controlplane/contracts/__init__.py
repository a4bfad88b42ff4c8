"""The one vocabulary of both sides: strict wire and domain types, pure pydantic."""
