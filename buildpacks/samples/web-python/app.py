"""A web app that greets: ``/`` everybody, ``/<name>`` one of them."""

import os
import platform
import signal
import sys

import bottle
import waitress

PAGE = """\
<!doctype html>
<html lang="en">
<title>Hello, {{name}}</title>
<h1>Hello, {{name}}!</h1>
<p>Bottle {{bottle}} on Python {{python}}, built without a Dockerfile.</p>
</html>
"""

app = bottle.Bottle()


@app.get("/")
@app.get("/<name>")
def greeting(name: str = "world") -> str:
    """Return the page."""
    return bottle.template(PAGE, name=name, bottle=bottle.__version__, python=platform.python_version())


if __name__ == "__main__":
    # The first process of a container gets no signal that it has no handler for.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    port = int(os.environ.get("PORT", "8080"))
    waitress.serve(app, host=os.environ.get("HOST", "0.0.0.0"), port=port)  # noqa: S104  # a container's own address
