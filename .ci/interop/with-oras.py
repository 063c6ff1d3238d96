# SPDX-License-Identifier: Apache-2.0
"""What the PyPI client `oras` does with our registry: `with-oras.py STORY HOST TOKEN FOLDER`."""
import os
import sys

import oras.client

story, host, token, folder = sys.argv[1:]
os.chdir(folder)
PUBLIC, PRIVATE = f"{host}/netops/oras", f"{host}/hidden/oras"


def client(login=True, backend="token"):
    made = oras.client.OrasClient(hostname=host, insecure=True, auth_backend=backend)
    if login:
        config = os.path.join(folder, "oras.json")
        made.login(username="admin", password=token, hostname=host, config_path=config)
    return made


def read(client, target, into):
    os.makedirs(into, exist_ok=True)
    client.pull(target=target, outdir=into)
    with open(os.path.join(into, "hello.txt")) as file:
        assert file.read() == "hello\n"


def refused(action):
    try:
        action()
    except Exception as error:
        print(f"refused: {error}")
        return
    raise AssertionError("it was not refused")


if story == "push":
    with open("hello.txt", "w") as file:
        file.write("hello\n")
    # This client keeps its first bearer token, which is for reading where one needs a
    # token to read: to a private place it pushes with the password itself.
    for target, backend in ((f"{PUBLIC}:edge", "token"), (f"{PUBLIC}:gone", "token"), (f"{PRIVATE}:edge", "basic")):
        answer = client(backend=backend).push(
            files=["hello.txt"], target=target, disable_path_validation=True,
            manifest_annotations={"for": target},
        )
        assert answer.status_code == 201, answer.text
    manifest = client().get_manifest(f"{PUBLIC}:edge")
    assert manifest["layers"][0]["annotations"]["org.opencontainers.image.title"] == "hello.txt"
elif story == "pull":
    read(client(login=False), f"{PUBLIC}:edge", "oras-public")
elif story == "list":
    assert set(client(login=False).get_tags(PUBLIC)) == {"edge", "gone"}
elif story == "refused":
    nobody = client(login=False)
    refused(lambda: nobody.push(files=["hello.txt"], target=f"{PUBLIC}:no", disable_path_validation=True))
    refused(lambda: nobody.pull(target=f"{PRIVATE}:edge", outdir="oras-none"))
    refused(lambda: nobody.get_tags(PRIVATE))
elif story == "private":
    read(client(), f"{PRIVATE}:edge", "oras-private")
elif story == "delete":
    assert client().delete_tags(PUBLIC, ["gone"]) == ["gone"]
    assert client().get_tags(PUBLIC) == ["edge"]
else:
    raise SystemExit(f"no story {story}")
