"""Walks through KV version 2 with hvac. Reads VAULT_ADDR and VAULT_TOKEN; its one argument is the organization."""

import os
import sys

import hvac
import hvac.exceptions

org = sys.argv[1]
client = hvac.Client(url=os.environ["VAULT_ADDR"], token=os.environ["VAULT_TOKEN"])
kv = client.secrets.kv.v2
path = org + "/app/db"


def raises(kind, call, *args, **named):
    try:
        call(*args, **named)
    except kind:
        return
    raise AssertionError(f"{call.__name__}{args}{named} did not raise {kind.__name__}")


assert client.is_authenticated()
assert not hvac.Client(url=os.environ["VAULT_ADDR"], token="wrong").is_authenticated()
assert client.sys.is_initialized() and not client.sys.is_sealed()
assert client.sys.read_health_status(method="GET")["sealed"] is False
assert client.sys.read_health_status().status_code == 200  # HEAD
assert "secret/" in client.sys.list_mounted_secrets_engines()["data"]

raises(hvac.exceptions.InvalidPath, kv.read_secret_version, path)
raises(hvac.exceptions.InvalidPath, kv.list_secrets, org + "/app")
raises(hvac.exceptions.Forbidden, kv.read_secret_version, "elsewhere/a")

made = kv.create_or_update_secret(path, {"user": "u", "password": "one"}, cas=0)
assert made["data"]["version"] == 1
raises(hvac.exceptions.InvalidRequest, kv.create_or_update_secret, path, {"a": "b"}, cas=0)
kv.patch(path, {"password": "two"})
read = kv.read_secret_version(path)["data"]
assert read["data"] == {"user": "u", "password": "two"} and read["metadata"]["version"] == 2
assert kv.read_secret_version(path, version=1)["data"]["data"]["password"] == "one"
assert kv.list_secrets(org + "/app")["data"]["keys"] == ["db"]

kv.update_metadata(path, cas_required=True)
raises(hvac.exceptions.InvalidRequest, kv.create_or_update_secret, path, {"a": "b"})
kv.update_metadata(path, cas_required=False)

kv.delete_latest_version_of_secret(path)
raises(hvac.exceptions.InvalidPath, kv.read_secret_version, path)
kv.undelete_secret_versions(path, [2])
assert kv.read_secret_version(path)["data"]["data"]["password"] == "two"
kv.delete_secret_versions(path, [1])
kv.destroy_secret_versions(path, [1])
versions = kv.read_secret_metadata(path)["data"]["versions"]
assert versions["1"]["destroyed"] and not versions["2"]["destroyed"]

kv.create_or_update_secret(org, {"app/db": "text", "other": "x"})
assert kv.read_secret_version(org)["data"]["data"] == {"app/db": "text", "other": "x"}
kv.delete_metadata_and_all_versions(path)
raises(hvac.exceptions.InvalidPath, kv.read_secret_metadata, path)

assert client.lookup_token()["data"]["type"] == "service"
child = hvac.Client(url=os.environ["VAULT_ADDR"], token=client.create_token(lease="10m")["auth"]["client_token"])
assert child.renew_self_token()["auth"]["renewable"]
child.revoke_self_token()
assert not child.is_authenticated()
print("walked to the end")
