"""What issuers and manufacturers say of a device, verified: SD-JWT VCs and chains of certificates."""
