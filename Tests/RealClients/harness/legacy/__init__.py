"""Clients of the legacy services, KVStore and KeyStore, with the stubs of their own protos."""
