"""Evidence of what platforms run: verifiers behind one interface, bindings, signed results (RATS, RFC 9334). Pure."""
