"""An S3 server for the tests, on a free port of 127.0.0.1, with one bucket `rows` and one user who may use it. Nobody
else may: a request with another access key is refused, as S3 does. Signatures are not looked at: moto computes those of
Python's client only, and refused the right ones of the sidecar's Java client (seen).

Prints what a Secret has to hold for it, as one line of JSON, and then serves until it is stopped.

    s3.py [FAULTS]

FAULTS is a file of JSON, read at every PUT: `{"parts": ["Data.db"], "fault": "hold"}` holds back each object whose key
contains all parts until the file says otherwise, `"fail"` answers 500 and stores nothing.
"""

import json
import os
import sys
import threading
import time

# How many requests are let through unsigned: the four with which the user and the bucket are made.
os.environ["INITIAL_NO_AUTH_ACTION_COUNT"] = "4"

import boto3
from moto.iam import access_control
from moto.moto_server import threaded_moto_server
from moto.server import ThreadedMotoServer

access_control.IAMRequestBase.check_signature = lambda self: None

REGION = "us-east-1"
MAY = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}



def fault(path):
    """Returns the fault of a PUT to this path."""
    if len(sys.argv) < 2 or not os.path.exists(sys.argv[1]):
        return None
    with open(sys.argv[1], encoding="utf-8") as file:
        wanted = json.load(file)
    return wanted["fault"] if all(part in path for part in wanted["parts"]) else None


class Faulty(threaded_moto_server.DomainDispatcherApplication):
    """The server behind the faults of the file."""

    def __call__(self, environ, start_response):
        path = environ["PATH_INFO"] if environ["REQUEST_METHOD"] == "PUT" else None
        while path and fault(path) == "hold":
            time.sleep(0.1)
        if path and fault(path) == "fail":
            start_response("500 Internal Server Error", [("Content-Length", "0")])
            return [b""]
        return super().__call__(environ, start_response)


threaded_moto_server.DomainDispatcherApplication = Faulty
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
server.start()
host, port = server.get_host_and_port()
endpoint = f"http://{host}:{port}"
nobody = {
    "endpoint_url": endpoint,
    "region_name": REGION,
    "aws_access_key_id": "nobody",
    "aws_secret_access_key": "nothing",
}
iam = boto3.client("iam", **nobody)
iam.create_user(UserName="sidecar")
iam.put_user_policy(UserName="sidecar", PolicyName="all", PolicyDocument=json.dumps(MAY))
key = iam.create_access_key(UserName="sidecar")["AccessKey"]
boto3.client("s3", **nobody).create_bucket(Bucket="rows")
secret = {
    "awsaccesskeyid": key["AccessKeyId"],
    "awssecretaccesskey": key["SecretAccessKey"],
    "awsregion": REGION,
    "awsendpoint": endpoint,
}
print(json.dumps(secret), flush=True)
threading.Event().wait()
