"""Policies and workloads that come with csroute, to run and to copy from."""
