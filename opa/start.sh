#!/bin/sh
# Start OPA with what `ztfm sidecar prepare` wrote into $ZTFM_OPA_DIR. OPA reads the token of its own API from its
# environment, and the bundles that the control plane puts into $ZTFM_OPA_BUNDLES over HTTP, because from a file it would
# read them only once: httpd hands them over on the loopback of this container, which nobody else can reach.
set -eu
ZTFM_OPA_TOKEN=$(cat "$ZTFM_OPA_DIR/opa-token")
if [ -z "$ZTFM_OPA_TOKEN" ]; then
	echo "start.sh: $ZTFM_OPA_DIR/opa-token is empty; run 'ztfm sidecar prepare' again" >&2
	exit 1
fi
export ZTFM_OPA_TOKEN
httpd -f -p "127.0.0.1:${ZTFM_OPA_PUBLISHER_PORT:-8183}" -h "$ZTFM_OPA_BUNDLES" &
exec opa "$@"
