"""Clients of the older services, KVStore and KeyStore, with the stubs of their own protos."""
