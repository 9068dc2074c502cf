"""amx serve --ssm-listen as boto3 and the AWS command line see it.

    python awscli_test.py bin/amx bin/aws [a test's name ...]
"""

import datetime
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from unittest import mock

import boto3
import botocore.auth
import botocore.config
from botocore import UNSIGNED
from botocore.exceptions import ClientError, WaiterError

AMX, AWS = (os.path.abspath(name) for name in sys.argv[1:3])
WEB1, WEB2, DB = "i-0123456789abcdef0", "i-0123456789abcdef1", "i-01234567"
LOCAL = "mi-00000000000000000"
UNKNOWN = "00000000-0000-4000-8000-000000000000"
SHELL = "AWS-RunShellScript"


class Amx:
    """amx serve, with three nodes beside the local one."""

    def __init__(self):
        self.dir = tempfile.TemporaryDirectory()
        self.process = subprocess.Popen(
            [AMX, "serve", "-l", "127.0.0.1:0", "--ssm-listen", "127.0.0.1:0",
             "--ledger", os.path.join(self.dir.name, "ledger.db"),
             "--node", WEB1 + ",tag:Role=web,tag:Name=one,ip=10.0.0.1,host=web-1",
             "--node", WEB2 + ",tag:Role=web,tag:Name=two",
             "--node", DB + ",tag:Role=db", "true"],
            stderr=subprocess.PIPE, text=True)
        self.said = ""
        for line in self.process.stderr:
            self.said += line
            if line.startswith("listening on "):
                break
        # A thread reads the rest of its log, so that amx never waits for a reader.
        threading.Thread(target=self.process.stderr.read, daemon=True).start()
        # Nothing of the caller's own account is used.
        self.env = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
        self.env.update(re.findall(r"(AWS_[A-Z_]+)=(\S+)", self.said))
        self.env.update(AWS_CONFIG_FILE=os.devnull, AWS_SHARED_CREDENTIALS_FILE=os.devnull,
                        AWS_EC2_METADATA_DISABLED="true", AWS_PAGER="", NO_PROXY="127.0.0.1")
        os.environ.clear()
        os.environ.update(self.env)

    def stop(self):
        self.process.terminate()
        code = self.process.wait(timeout=15)
        self.dir.cleanup()
        return code


def setUpModule():
    global amx, ssm
    amx = Amx()
    ssm = client()


def tearDownModule():
    code = amx.stop()
    if code != 0:
        raise RuntimeError(f"amx serve ended with {code}")


def client(**options):
    config = botocore.config.Config(retries={"total_max_attempts": 1}, signature_version=options.pop("signature", None))
    return boto3.session.Session(**options).client("ssm", config=config)


def aws(*args, code=0):
    """Runs `aws ssm` and answers what it printed, decoded where it is JSON."""
    # Version 2 reads AWS_ENDPOINT_URL_SSM from 2.13 on, and Debian has an older one.
    endpoint = ["--endpoint-url", amx.env["AWS_ENDPOINT_URL_SSM"]] if AWS_VERSION > 1 else []
    done = subprocess.run([AWS, *endpoint, "ssm", *args], env=amx.env, capture_output=True, text=True, timeout=60)
    if done.returncode != code:
        raise AssertionError(f"aws ssm {' '.join(args)[:200]}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    if code != 0:
        return done.stderr
    return json.loads(done.stdout) if done.stdout.startswith("{") else done.stdout.strip()


def send(*commands, nodes=(LOCAL,), **more):
    if "Targets" not in more:
        more["InstanceIds"] = list(nodes)
    return ssm.send_command(DocumentName=SHELL, Parameters={"commands": list(commands)}, **more)["Command"]["CommandId"]


def ended(command, node=LOCAL):
    """Waits for the end of an invocation, in shorter steps than boto3's waiter."""
    for _ in range(500):
        got = ssm.get_command_invocation(CommandId=command, InstanceId=node)
        if got["Status"] not in ("Pending", "InProgress"):
            return got
        time.sleep(0.02)
    raise AssertionError(f"{command} goes on")


class Boto3(unittest.TestCase):
    def refused(self, code, call, **args):
        with self.assertRaises(ClientError) as caught:
            call(**args)
        self.assertEqual(caught.exception.response["Error"]["Code"], code, caught.exception)
        # botocore makes a class of each error that the service model names.
        if hasattr(ssm.exceptions, code):
            self.assertIsInstance(caught.exception, getattr(ssm.exceptions, code))
        return caught.exception.response["Error"]["Message"]

    def test_a_command_runs_and_its_output_is_there(self):
        sent = ssm.send_command(
            DocumentName=SHELL, InstanceIds=[WEB1], Comment="ä comment", TimeoutSeconds=60,
            Parameters={"commands": ["echo out; echo err >&2", "exit 3"], "workingDirectory": ["/"]})
        self.assertEqual(sent["ResponseMetadata"]["HTTPStatusCode"], 200)
        self.assertRegex(sent["ResponseMetadata"]["RequestId"], r"^[0-9a-f-]{36}$")
        command = sent["Command"]
        self.assertEqual((command["Status"], command["TargetCount"], command["Comment"]), ("Pending", 1, "ä comment"))
        self.assertLess(abs(command["RequestedDateTime"] - datetime.datetime.now(datetime.timezone.utc)),
                        datetime.timedelta(minutes=1))
        got = ended(command["CommandId"], WEB1)
        self.assertEqual(
            {k: got[k] for k in ("Status", "StatusDetails", "ResponseCode", "PluginName", "DocumentName",
                                 "StandardOutputContent", "StandardErrorContent")},
            {"Status": "Failed", "StatusDetails": "Failed", "ResponseCode": 3, "PluginName": "aws:runShellScript",
             "DocumentName": SHELL, "StandardOutputContent": "out\n",
             "StandardErrorContent": "err\nfailed to run commands: exit status 3"})
        self.assertRegex(got["ExecutionStartDateTime"], r"^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
        self.assertRegex(got["ExecutionElapsedTime"], r"^PT\d+(\.\d+)?S$")

    def test_the_waiter_knows_success_and_failure(self):
        wait = ssm.get_waiter("command_executed")
        for script, failure in (("true", None), ("false", "Failed")):
            command = send(script)
            ended(command)
            if failure is None:
                wait.wait(CommandId=command, InstanceId=LOCAL)
                continue
            with self.assertRaises(WaiterError) as caught:
                wait.wait(CommandId=command, InstanceId=LOCAL)
            self.assertEqual(caught.exception.last_response["Status"], failure)

    def test_output_is_cut_at_24000_and_8000_characters(self):
        got = ended(send("head -c 30000 /dev/zero | tr '\\0' a; head -c 30000 /dev/zero | tr '\\0' b >&2"))
        mark = "--output truncated--"  # the agent's, on both: the API cuts it off the latter
        self.assertEqual((got["StandardOutputContent"], got["StandardErrorContent"]), ("a" * (24000 - len(mark)) + mark, "b" * 8000))

    def test_a_cancel_kills(self):
        command = send("trap '' TERM; echo up; while :; do sleep 1; done")
        while ssm.get_command_invocation(CommandId=command, InstanceId=LOCAL)["StandardOutputContent"] != "up\n":
            time.sleep(0.02)
        ssm.cancel_command(CommandId=command)
        got = ended(command)
        self.assertEqual((got["Status"], got["StatusDetails"]), ("Cancelled", "Cancelled"))
        listed = ssm.list_commands(CommandId=command)["Commands"][0]
        self.assertEqual((listed["Status"], listed["CompletedCount"]), ("Cancelled", 1))
        ssm.cancel_command(CommandId=command)  # one that is over

    def test_targets_by_id_and_by_tag(self):
        for targets, want in (
            ([{"Key": "InstanceIds", "Values": [DB]}], [DB]),
            ([{"Key": "tag:Role", "Values": ["web"]}], [WEB1, WEB2]),
            ([{"Key": "tag:Role", "Values": ["web"]}, {"Key": "tag:Name", "Values": ["two"]}], [WEB2]),
            ([{"Key": "tag:Role", "Values": ["other"]}], []),
        ):
            command = send("echo $AWS_SSM_INSTANCE_ID", Targets=targets)
            for node in want:
                self.assertEqual(ended(command, node)["StandardOutputContent"], node + "\n")
            listed = ssm.list_commands(CommandId=command)["Commands"][0]
            self.assertEqual(listed["TargetCount"], len(want))
            if not want:
                self.assertEqual(listed["StatusDetails"], "NoInstancesInTag")

    def test_lists_in_pages(self):
        sent = [send("echo " + str(i), nodes=[WEB1, WEB2], Comment="pages") for i in range(7)]
        pages = list(ssm.get_paginator("list_commands").paginate(PaginationConfig={"PageSize": 3}))
        got = [c["CommandId"] for p in pages for c in p["Commands"] if c["Comment"] == "pages"]
        self.assertEqual(got, sent[::-1])
        self.assertTrue(all(len(p["Commands"]) <= 3 for p in pages))
        for command in sent:
            ended(command, WEB1), ended(command, WEB2)
        pages = ssm.get_paginator("list_command_invocations").paginate(
            InstanceId=WEB2, Details=True, PaginationConfig={"PageSize": 2},
            Filters=[{"key": "Status", "value": "Success"}])
        got = [i for p in pages for i in p["CommandInvocations"] if i["Comment"] == "pages"]
        self.assertEqual([i["CommandId"] for i in got], sent[::-1])
        self.assertEqual([i["CommandPlugins"][0]["Output"] for i in got], [f"{i}\n" for i in range(6, -1, -1)])

    def test_nodes_are_described(self):
        nodes = ssm.describe_instance_information()["InstanceInformationList"]
        self.assertEqual([n["InstanceId"] for n in nodes], [LOCAL, WEB1, WEB2, DB])
        self.assertEqual({(n["PingStatus"], n["PlatformType"]) for n in nodes}, {("Online", "Linux")})
        web = ssm.describe_instance_information(Filters=[{"Key": "tag:Name", "Values": ["one"]}])["InstanceInformationList"]
        self.assertEqual([(n["InstanceId"], n["IPAddress"], n["ComputerName"]) for n in web], [(WEB1, "10.0.0.1", "web-1")])

    def test_parameters_and_references_to_them(self):
        ssm.put_parameter(Name="/boto/name", Value="old", Type="String")
        put = ssm.put_parameter(Name="/boto/name", Value="ä world", Type="String", Overwrite=True)
        self.assertEqual((put["Version"], put["Tier"]), (2, "Standard"))
        got = ssm.get_parameter(Name="/boto/name")["Parameter"]
        self.assertEqual((got["Value"], got["Version"], got["Type"]), ("ä world", 2, "String"))
        self.assertEqual(ended(send("echo 'hello {{ ssm:/boto/name }}'"))["StandardOutputContent"], "hello ä world\n")
        missing = ended(send("echo {{ssm:/boto/nobody}}"))
        self.assertEqual((missing["Status"], missing["StandardOutputContent"]), ("Failed", ""))
        ssm.put_parameter(Name="/boto/secret", Value="s3cret", Type="SecureString")
        self.assertNotIn("s3cret", ssm.get_parameter(Name="/boto/secret")["Parameter"]["Value"])
        self.assertEqual(ssm.get_parameter(Name="/boto/secret", WithDecryption=True)["Parameter"]["Value"], "s3cret")

    def test_each_error_of_send_command(self):
        good = {"DocumentName": SHELL, "InstanceIds": [LOCAL], "Parameters": {"commands": ["true"]}}
        for code, change in (
            ("InvalidInstanceId", {"InstanceIds": ["i-ffffffff"]}),
            ("DuplicateInstanceId", {"InstanceIds": [LOCAL, LOCAL]}),
            ("InvalidDocument", {"DocumentName": "AWS-Other"}),
            ("InvalidDocumentVersion", {"DocumentVersion": "7"}),
            ("InvalidParameters", {"Parameters": {"other": ["x"]}}),
            ("InvalidParameters", {"Parameters": {"commands": ["true"], "executionTimeout": ["0"]}}),
            ("MaxDocumentSizeExceeded", {"Parameters": {"commands": ["#" * (64 << 10)]}}),
            ("ValidationException", {"Comment": "x" * 101}),
            ("ValidationException", {"InstanceIds": ["web-1"]}),
            ("ValidationException", {"InstanceIds": []}),
        ):
            with self.subTest(code=code, change=str(change)[:60]):
                self.refused(code, ssm.send_command, **{**good, **change})

    def test_each_error_of_the_others(self):
        command = send("true")
        x36 = "x" * 36
        for code, call, args in (
            ("InvalidCommandId", ssm.cancel_command, {"CommandId": UNKNOWN}),
            ("InvalidInstanceId", ssm.cancel_command, {"CommandId": command, "InstanceIds": [DB]}),
            ("DuplicateInstanceId", ssm.cancel_command, {"CommandId": command, "InstanceIds": [LOCAL, LOCAL]}),
            ("InvalidCommandId", ssm.list_commands, {"CommandId": x36}),
            ("InvalidNextToken", ssm.list_commands, {"NextToken": "x"}),
            ("ValidationException", ssm.list_commands, {"MaxResults": 51}),
            ("InvalidFilterKey", ssm.list_command_invocations, {"Filters": [{"key": "ExecutionStage", "value": "Complete"}]}),
            ("InvocationDoesNotExist", ssm.get_command_invocation, {"CommandId": UNKNOWN, "InstanceId": LOCAL}),
            ("InvocationDoesNotExist", ssm.get_command_invocation, {"CommandId": command, "InstanceId": DB}),
            ("InvalidCommandId", ssm.get_command_invocation, {"CommandId": x36, "InstanceId": LOCAL}),
            ("InvalidPluginName", ssm.get_command_invocation, {"CommandId": command, "InstanceId": LOCAL, "PluginName": "aws:other"}),
            ("InvalidFilterKey", ssm.describe_instance_information, {"Filters": [{"Key": "IPAddress", "Values": ["10.0.0.1"]}]}),
            ("InvalidInstanceInformationFilterValue", ssm.describe_instance_information,
             {"Filters": [{"Key": "PingStatus", "Values": ["Up"]}]}),
            ("InvalidNextToken", ssm.describe_instance_information, {"NextToken": "x"}),
            ("UnknownOperationException", ssm.describe_activations, {}),
        ):
            with self.subTest(code=code, args=args):
                self.refused(code, call, **args)

    def test_each_error_of_parameter_store(self):
        ssm.put_parameter(Name="/errors/a", Value="x", Type="String")
        good = {"Name": "/errors/new", "Value": "x", "Type": "String"}
        for code, change in (
            ("ParameterAlreadyExists", {"Name": "/errors/a"}),
            ("HierarchyTypeMismatchException", {"Name": "/errors/a", "Type": "SecureString", "Overwrite": True}),
            ("HierarchyLevelLimitExceededException", {"Name": "/a" * 16}),
            ("ParameterPatternMismatchException", {"AllowedPattern": r"^\d+$"}),
            ("InvalidAllowedPatternException", {"AllowedPattern": "("}),
            ("InvalidPolicyTypeException", {"Policies": "[]"}),
            ("ValidationException", {"Value": "x" * 4097}),
            ("ValidationException", {"Value": "x" * 8193, "Tier": "Advanced"}),
            ("ValidationException", {"Name": "/aws/x"}),
        ):
            with self.subTest(code=code, change=str(change)[:60]):
                self.refused(code, ssm.put_parameter, **{**good, **change})
        self.refused("ParameterNotFound", ssm.get_parameter, Name="/errors/new")
        self.refused("ParameterVersionNotFound", ssm.get_parameter, Name="/errors/a:2")

    def test_only_who_has_the_key_gets_in(self):
        key, secret = amx.env["AWS_ACCESS_KEY_ID"], amx.env["AWS_SECRET_ACCESS_KEY"]
        other = client(aws_access_key_id="AKIAIOSFODNN7EXAMPLE", aws_secret_access_key=secret)
        self.refused("UnrecognizedClientException", other.list_commands)
        other = client(aws_access_key_id=key, aws_secret_access_key="x" * 40)
        self.refused("InvalidSignatureException", other.list_commands)
        self.refused("MissingAuthenticationTokenException", client(signature=UNSIGNED).list_commands)
        client(region_name="eu-central-1").list_commands()
        past = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(minutes=6)
        with mock.patch.object(botocore.auth, "get_current_datetime", lambda: past.replace(tzinfo=None)):
            message = self.refused("InvalidSignatureException", ssm.list_commands)
        self.assertIn("Signature expired: ", message)


class CommandLine(unittest.TestCase):
    def test_send_wait_and_output(self):
        sent = aws("send-command", "--document-name", SHELL, "--targets", "Key=tag:Name,Values=one",
                   "--comment", "from the command line", "--parameters", 'commands=["echo hello","echo oops >&2"]')
        command = sent["Command"]["CommandId"]
        ended(command, WEB1)
        aws("wait", "command-executed", "--command-id", command, "--instance-id", WEB1)
        self.assertEqual(
            aws("get-command-invocation", "--command-id", command, "--instance-id", WEB1,
                "--query", "[Status,ResponseCode,StandardOutputContent,StandardErrorContent]", "--output", "text").split("\t"),
            ["Success", "0", "hello\n", "oops"])

    def test_waiting_for_a_failure_fails(self):
        command = send("exit 7")
        ended(command)
        self.assertIn("Waiter CommandExecuted failed",
                      aws("wait", "command-executed", "--command-id", command, "--instance-id", LOCAL, code=255))

    def test_lists_in_pages(self):
        sent = [send("true", nodes=[DB]) for _ in range(5)]
        got = aws("list-commands", "--instance-id", DB, "--page-size", "2", "--max-items", "5")
        self.assertEqual([c["CommandId"] for c in got["Commands"]], sent[::-1])
        first = aws("list-commands", "--max-items", "2")
        rest = aws("list-commands", "--max-items", "2", "--starting-token", first["NextToken"])
        self.assertEqual([c["CommandId"] for c in first["Commands"] + rest["Commands"]], sent[:0:-1])
        got = aws("list-command-invocations", "--command-id", sent[0], "--details")
        self.assertEqual(got["CommandInvocations"][0]["InstanceId"], DB)

    def test_cancel(self):
        command = send("echo up; exec sleep 1000")
        aws("cancel-command", "--command-id", command)
        self.assertEqual(ended(command)["Status"], "Cancelled")

    def test_nodes(self):
        self.assertEqual(
            aws("describe-instance-information", "--filters", "Key=tag:Role,Values=web",
                "--query", "InstanceInformationList[].InstanceId", "--output", "text").split(), [WEB1, WEB2])

    def test_parameters(self):
        self.assertEqual(aws("put-parameter", "--name", "/cli/token", "--type", "SecureString", "--value", "s3cret"),
                         {"Version": 1, "Tier": "Standard"})
        self.assertEqual(aws("get-parameter", "--name", "/cli/token", "--with-decryption",
                             "--query", "Parameter.Value", "--output", "text"), "s3cret")

    def test_errors(self):
        for code, args in (
            ("InvalidInstanceId", ["send-command", "--document-name", SHELL, "--instance-ids", "i-ffffffff", "--parameters", "commands=true"]),
            ("InvalidDocument", ["send-command", "--document-name", "AWS-Other", "--instance-ids", LOCAL]),
            ("InvocationDoesNotExist", ["get-command-invocation", "--command-id", UNKNOWN, "--instance-id", LOCAL]),
            ("InvalidCommandId", ["cancel-command", "--command-id", UNKNOWN]),
            ("ParameterNotFound", ["get-parameter", "--name", "/cli/nobody"]),
        ):
            with self.subTest(code=code):
                self.assertIn(f"An error occurred ({code}) when calling the ", aws(*args, code=254 if AWS_VERSION > 1 else 255))


AWS_VERSION = int(re.search(r"aws-cli/(\d+)", subprocess.run([AWS, "--version"], capture_output=True, text=True).stdout).group(1))

if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]], verbosity=1)
