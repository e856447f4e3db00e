"""giftless on a free port of the loopback, with its objects in a folder and a login for one repository.

Prints its port and the password of the user `_jwt`, and serves until its standard input ends.
"""

import datetime
import os
import secrets
import sys
import threading

import jwt
from giftless.app import init_app
from werkzeug.serving import make_server

KEY = secrets.token_hex(32)
authenticator = {
    "factory": "giftless.auth.jwt:factory",
    "options": {"algorithm": "HS256", "private_key": KEY, "default_lifetime": 600},
}
app = init_app(
    additional_config={
        "LEGACY_ENDPOINTS": False,
        "AUTH_PROVIDERS": [authenticator],
        "PRE_AUTHORIZED_ACTION_PROVIDER": authenticator,
        "TRANSFER_ADAPTERS": {
            "basic": {
                "factory": "giftless.transfer.basic_streaming:factory",
                "options": {
                    "storage_class": "giftless.storage.local_storage:LocalStorage",
                    "storage_options": {"path": sys.argv[1]},
                    "action_lifetime": 600,
                },
            }
        },
    }
)
hour = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=1)
password = jwt.encode({"exp": hour, "sub": "reader", "scopes": ["obj:group/*/*"]}, KEY, algorithm="HS256")
server = make_server("127.0.0.1", 0, app, threaded=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(server.port, password, flush=True)
sys.stdin.read()
os._exit(0)
