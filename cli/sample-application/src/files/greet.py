"""Greets. Each call reports how many greetings were wrong, which an alarm watches."""

import os

WRONG_GREETINGS = 0


def greet(name):
    return f"GREETING, {name}!" if name else "GREETING!"


def handler(event, context):
    import boto3

    metric = {"MetricName": "WrongGreetings", "Value": WRONG_GREETINGS}
    boto3.client("cloudwatch").put_metric_data(Namespace=os.environ["NAMESPACE"], MetricData=[metric])
    return {"statusCode": 200, "greeting": greet(event.get("name", "")), "version": context.function_version}
