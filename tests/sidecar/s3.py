"""An S3 server for the tests, on a free port of 127.0.0.1, with one bucket `rows` and one user who may use it. Nobody
else may: a request with another access key is refused, as S3 does. Signatures are not looked at: moto computes those of
Python's client only, and refused the right ones of the sidecar's Java client (seen).

Prints what a Secret has to hold for it, as one line of JSON, and then serves until it is stopped.
"""

import json
import os
import threading

# How many requests are let through unsigned: the four with which the user and the bucket are made.
os.environ["INITIAL_NO_AUTH_ACTION_COUNT"] = "4"

import boto3
from moto.iam import access_control
from moto.server import ThreadedMotoServer

access_control.IAMRequestBase.check_signature = lambda self: None

REGION = "us-east-1"
MAY = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}

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
