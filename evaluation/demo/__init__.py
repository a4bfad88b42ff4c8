"""The demo: a federation under attack, with and without a guard, and what the guard did, from enrolment to report."""
