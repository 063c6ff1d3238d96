# SPDX-License-Identifier: Apache-2.0
ORAS=$CACHE/oras-venv
[ -x "$ORAS/bin/python" ] && "$ORAS/bin/python" -c 'import oras' 2>/dev/null || { python3 -m venv "$ORAS" && "$ORAS/bin/pip" install --quiet 'oras==0.2.43'; }
say "oras (PyPI) $("$ORAS/bin/python" -c 'import oras; print(oras.__version__)')"
story() { "$ORAS/bin/python" "$TOP/.ci/interop/with-oras.py" "$1" "$HOST" "$ADMIN_TOKEN" "$WORK"; }
check "pushes a file" story push
check "pulls it unchanged, without login" story pull
check "lists the tags, without login" story list
check "cannot push, and reads nothing private, without login" story refused
check "pulls what is private with a token" story private
check "deletes a tag" story delete
