#!/bin/sh
# What `make demo` does: build the sample app twice, then run it on this host and ask it for its page.
set -eu
cd "$(dirname "$0")/../.."
image=demo/web-python.oci
port=${PORT:-18080}

echo "1. Build buildpacks/samples/web-python into an OCI layout: no daemon, no registry, no root."
lifecycle build buildpacks/samples/web-python --buildpack buildpacks/web-python --tag web-python --output "$image"
echo
echo "2. Build it again: nothing changed, so every layer is reused and the image id stays the same."
lifecycle build buildpacks/samples/web-python --buildpack buildpacks/web-python --tag web-python --output "$image"
echo
echo "3. Run it on this host through the image's launcher, and ask it for its page on port $port."
PORT=$port HOST=127.0.0.1 lifecycle run web &
app=$!
trap 'kill "$app" 2>/dev/null || true' EXIT INT TERM
python3 - "http://127.0.0.1:$port/" <<'PYTHON'
import sys, time, urllib.request

opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
for attempt in range(100):
    try:
        print(opener.open(sys.argv[1], timeout=5).read().decode().strip())
        break
    except OSError:
        time.sleep(0.1)
else:
    sys.exit("the app did not answer")
PYTHON
echo
echo "The image is in $image.  Look at it with: skopeo inspect oci:$image:web-python"
