"""Who is measured. Each does a job (so many objects, of that size, so many parameters) from nothing
or once more, and can say what it brought, for comparing: {file: SHA-256}, {parameter: value}.
"""
import hashlib
import json
import shutil
import subprocess
from dataclasses import dataclass

from world import BUNDLE

ACCESS = {"AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret"}


@dataclass(frozen=True)
class Job:
    name: str
    objects: int
    size: int
    parameters: int

    @property
    def bucket(self):
        return f"n{self.objects}-s{self.size}"

    @property
    def path(self):
        return f"/bench/p{self.parameters}"


SEEDS = Job("seeds", 20, 1024, 20)
MEDIUM = Job("200/100", 200, 1024, 100)
LARGE = Job("2,000/500", 2000, 1024, 500)
BIG = Job("100 MB", 1, 100 << 20, 0)
MANY = Job("8,000", 8000, 1024, 0)


def digests(folder):
    """{path: SHA-256} of the files below a folder."""
    found = {}
    for path in folder.rglob("*"):
        if path.is_file() and not path.name.startswith("."):
            digest = hashlib.sha256()
            with open(path, "rb") as file:
                while block := file.read(1 << 20):
                    digest.update(block)
            found[str(path.relative_to(folder))] = digest.hexdigest()
    return found


def variables(path):
    """{name: value} of an environment file; quotes of the plain kind are taken away."""
    if not path.exists():
        return {}
    lines = (line.split("=", 1) for line in path.read_text().splitlines())
    return {name: value.strip('"') for name, value in lines}


class Contender:
    """`objects` and `parameters` say which part of a job it does."""

    name = ""
    objects = parameters = True

    def __init__(self, world):
        self.world = world
        self.home = world.scratch / self.name.replace(" ", "-").replace("/", "-")
        self.home.mkdir()

    def available(self):
        return True

    def version(self):
        return ""

    def prepare(self, job, server):
        """Writes what the program needs to know. What an earlier job left is gone."""
        self.job, self.server = job, server
        self.wipe()

    def wipe(self):
        for entry in self.home.iterdir():
            self.discard(entry)

    def discard(self, path):
        """Out of the way. Nothing is removed before the end: ext4 goes around inodes that were freed
        a moment ago one by one, and who makes files then is measured by who removed some."""
        if path.exists():
            path.rename(self.world.trash / f"{len(list(self.world.trash.iterdir()))}")

    def fresh(self):
        """Back to the state before the first run."""
        self.discard(self.files)

    def command(self, unchanged):
        raise NotImplementedError

    def environment(self):
        imds = self.world.imds.url(False)
        return {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": str(self.home),
            "AWS_EC2_METADATA_SERVICE_ENDPOINT": imds,
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_CA_BUNDLE": str(BUNDLE),
            "AWS_ENDPOINT_URL": self.server.url(),
        }

    @property
    def files(self):
        return self.home / "files"

    def brought(self):
        """(files, parameters) for comparing; None for a part that it does not do."""
        return digests(self.files) if self.objects else None, None


class Envsync(Contender):
    name = "envsync"

    def __init__(self, world, program=None, name=None):
        self.name = name or self.name
        self.program = program or world.build / "envsync"
        super().__init__(world)

    def prepare(self, job, server):
        super().prepare(job, server)
        (self.home / "instance-data.json").write_text(json.dumps(INSTANCE))
        self.config = self.home / "envsync.toml"
        self.config.write_text(self.describe(job, server))
        self.fresh()

    def describe(self, job, server):
        lines = [
            'app = "bench"', 'user = "nobody"', 'group = "nogroup"', 'deadline = "600s"',
            "[aws]", 'region = "us-east-1"', f'endpoint = "{server.url()}"',
        ]  # fmt: skip
        sources = ["cloud-init"]
        if job.objects:
            lines += ["[[source]]", 'type = "s3"', f'bucket = "{job.bucket}"', 'mirror = ["**"]',
                      'dir = "/etc/bench"']  # fmt: skip
        if job.parameters:
            lines += ["[[source]]", 'type = "ssm"', f'path = "{job.path}"']
            sources.append("ssm")
        lines += [
            "[[source]]", 'type = "cloud-init"', f'path = "{self.home}/instance-data.json"',
            "[source.keys]", 'REGION = "${region}"', 'RELEASE_NODE = "bench@${primary_ipv4}"',
            "[[output]]", 'path = "/run/bench/environment"', 'format = "env"',
            f"from = {json.dumps(sources)}",
        ]  # fmt: skip
        return "\n".join(lines) + "\n"

    def fresh(self):
        self.discard(self.home / "root")
        (self.home / "root").mkdir(mode=0o755)

    @property
    def files(self):
        return self.home / "root/etc/bench"

    def command(self, unchanged):
        return [self.program, "sync", "-q", "-c", self.config, "--root", self.home / "root"]

    def environment(self):
        """Only what is asked for: an AWS_CA_BUNDLE would be taken in place of the system's."""
        env = super().environment()
        return {name: env[name] for name in ("PATH", "AWS_EC2_METADATA_SERVICE_ENDPOINT")}

    def brought(self):
        env = variables(self.home / "root/run/bench/environment")
        return digests(self.files), {n: v for n, v in env.items() if n.startswith("PARAM_")}


class Bound(Contender):
    name = "bound"

    def command(self, unchanged):
        job = self.job
        return [self.world.build / "tests/bench/bound", *(["-u"] if unchanged else []),
                self.world.imds.url(False), self.server.url(), job.objects, job.size,
                job.parameters, BUNDLE.parent]  # fmt: skip

    def brought(self):
        return None, None  # it keeps nothing, and counts for itself


class Pipeline(Contender):
    """What the seeds do: aws, chown, chmod, jq."""

    name = "pipeline"

    SCRIPT = """set -eu
if [ "$OBJECTS" != 0 ]; then
    aws s3 sync "s3://$BUCKET/" files --exact-timestamps --only-show-errors
    chown -R nobody:nogroup files
    find files -type f -exec chmod 0640 {} +
fi
if [ "$PARAMETERS" != 0 ]; then
    aws ssm get-parameters-by-path --path "$SSM_PATH" --recursive --with-decryption >ssm.json
    {
        jq -r '.Parameters[] | (.Name | split("/") | last) + "=" + .Value' ssm.json
        jq -r '"REGION=" + .v1.region' instance-data.json
        jq -r '"RELEASE_NODE=bench@" + .ds.meta_data["local-ipv4"]' instance-data.json
    } >environment.new
    chmod 0640 environment.new
    chown root:nogroup environment.new
    mv environment.new environment
fi
"""

    def available(self):
        return bool(shutil.which("jq")) and self.aws.exists()

    @property
    def aws(self):
        return self.world.build / "bench/venv/bin/aws"

    def version(self):
        return output([self.aws, "--version"])

    def prepare(self, job, server):
        super().prepare(job, server)
        (self.home / "instance-data.json").write_text(json.dumps(INSTANCE))
        (self.home / "pipeline.sh").write_text(self.SCRIPT)

    def fresh(self):
        super().fresh()
        for name in ("ssm.json", "environment"):
            (self.home / name).unlink(missing_ok=True)

    def command(self, unchanged):
        return ["/bin/sh", self.home / "pipeline.sh"]

    def environment(self):
        env = super().environment()
        env["PATH"] = f"{self.aws.parent}:{env['PATH']}"
        return env | {"OBJECTS": str(self.job.objects), "PARAMETERS": str(self.job.parameters),
                      "BUCKET": self.job.bucket, "SSM_PATH": self.job.path}  # fmt: skip

    def brought(self):
        env = variables(self.home / "environment")
        return digests(self.files), {n: v for n, v in env.items() if n.startswith("PARAM_")}


class OfSystem(Contender):
    """One program of PATH, or of where `make bench` puts what Go builds."""

    program = ""

    @property
    def path(self):
        built = self.world.build / "bench/bin" / self.program
        return str(built) if built.exists() else shutil.which(self.program)

    def available(self):
        return bool(self.path)


class Rclone(OfSystem):
    name = program = "rclone"
    parameters = False

    def version(self):
        return output([self.path, "version"])

    def command(self, unchanged):
        return [self.path, "copy", f"aws:{self.job.bucket}", self.files]

    def environment(self):
        env = super().environment()
        del env["AWS_CA_BUNDLE"]  # it cannot be told so; it takes the system's
        # Nor where the metadata service is: it is given keys, and saved three requests.
        options = {"type": "s3", "provider": "Other", "region": "us-east-1",
                   "access_key_id": ACCESS["AWS_ACCESS_KEY_ID"],
                   "secret_access_key": ACCESS["AWS_SECRET_ACCESS_KEY"],
                   "endpoint": self.server.url(), "force_path_style": "true"}  # fmt: skip
        return env | {f"RCLONE_CONFIG_AWS_{k.upper()}": v for k, v in options.items()}


class S3cmd(OfSystem):
    name = program = "s3cmd"
    parameters = False

    def version(self):
        return output([self.path, "--version"])

    def prepare(self, job, server):
        super().prepare(job, server)
        host = server.url().removeprefix("https://")
        (self.home / ".s3cfg").write_text(
            f"[default]\naccess_key = {ACCESS['AWS_ACCESS_KEY_ID']}\nsecret_key = secret\n"
            f"host_base = {host}\nhost_bucket = {host}\nca_certs_file = {BUNDLE}\n"
            "bucket_location = us-east-1\nprogress_meter = False\n"
        )

    def fresh(self):
        super().fresh()
        self.files.mkdir()

    def command(self, unchanged):
        return [self.path, "sync", "-q", f"s3://{self.job.bucket}/", f"{self.files}/"]


class S5cmd(OfSystem):
    name = program = "s5cmd"
    parameters = False

    def version(self):
        return output([self.path, "version"])

    def command(self, unchanged):
        return [self.path, "--endpoint-url", self.server.url(), "sync",
                f"s3://{self.job.bucket}/*", f"{self.files}/"]  # fmt: skip

    def environment(self):
        return super().environment() | ACCESS | {"SSL_CERT_FILE": str(BUNDLE)}


class Chamber(OfSystem):
    name = program = "chamber"
    objects = False

    def version(self):
        return output([self.path, "version"])

    def command(self, unchanged):
        out = self.home / "environment"
        return ["/bin/sh", "-c", f"exec {self.path} export -f dotenv bench/p{self.job.parameters} >{out}"]

    def environment(self):
        return super().environment() | ACCESS | {"CHAMBER_NO_PATHS": "", "SSL_CERT_FILE": str(BUNDLE)}

    def brought(self):
        return None, {name.upper(): value for name, value in variables(self.home / "environment").items()}


INSTANCE = {
    "v1": {"cloud_name": "aws", "platform": "ec2", "region": "us-east-1", "instance_id": "i-0bench",
           "availability_zone": "us-east-1a", "local_hostname": "bench"},
    "ds": {"meta_data": {"local-ipv4": "198.18.7.2", "instance-id": "i-0bench"}},
}  # fmt: skip

ALL = (Envsync, Bound, Pipeline, Rclone, S3cmd, S5cmd, Chamber)


def output(command):
    """The first line that a program prints."""
    try:
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=60)
    except OSError as error:
        return str(error)
    return (done.stdout or done.stderr).strip().split("\n")[0]
