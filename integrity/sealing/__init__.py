"""Who says so, and since when: seals by X.509 certificates and time stamps beside a SHA256SUMS."""
