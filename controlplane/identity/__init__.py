"""Identity: names that follow from keys, enrolment tokens, and the registry of devices."""
