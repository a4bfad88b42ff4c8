"""AMD SEV-SNP: attestation reports and the certificates of the chips that sign them. Pure."""
