"""The deployment files agree with each other and with the program. These tests need no container engine."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import REGISTRY

from prep import observe
from prep.operations.cli import PROGRAMS
from prep.settings import PREFIX, Part, Settings
from tests.makers.programs import DEPLOY, ROOT

COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: each for name, each in SERVICES.items() if each["image"].startswith("prep-abierto:")}
KNOWN = {f"{PREFIX}{name}".upper() for name in Settings.model_fields}


def names(service: dict[str, Any], key: str) -> set[str]:
    """The names in a service's list `key`, which may be in the short or in the long form."""
    return {each["source"] if isinstance(each, dict) else each.split(":")[0] for each in service.get(key, [])}


@pytest.mark.parametrize("key", ["networks", "configs", "secrets"])
def test_every_name_is_declared_and_every_declared_name_is_used(key: str) -> None:
    named = {name for service in SERVICES.values() for name in names(service, key)}
    assert named == set(COMPOSE[key])


def test_volumes_are_declared_or_are_folders_beside_the_file() -> None:
    named = {name for service in SERVICES.values() for name in names(service, "volumes")}
    assert {name for name in named if not name.startswith("./")} == set(COMPOSE["volumes"])


def test_every_service_that_others_wait_for_exists_and_shows_when_it_is_ready() -> None:
    for name, service in SERVICES.items():
        for other, how in service.get("depends_on", {}).items():
            assert other in SERVICES, name
            if how["condition"] == "service_healthy":
                assert "test" in SERVICES[other]["healthcheck"]
            if how["condition"] == "service_completed_successfully":
                assert SERVICES[other]["restart"].startswith("on-failure")


def test_the_config_files_of_the_containers_exist() -> None:
    for config in COMPOSE["configs"].values():
        assert (DEPLOY / config["file"]).is_file(), config


def test_the_program_knows_each_setting_and_each_secret() -> None:
    said = {name for service in OURS.values() for name in service["environment"]}
    said |= set(re.findall(r"^#? ?(PREP_[A-Z0-9_]+)=", (DEPLOY / "prepare.sh").read_text(), re.MULTILINE))
    said |= set(re.findall(r"(PREP_[A-Z0-9_]+)=", (DEPLOY / "Containerfile").read_text()))
    said |= {name.upper() for service in OURS.values() for name in names(service, "secrets")}
    assert {name for name in said if name.startswith(PREFIX)} - KNOWN == set()
    assert {"PREP_DATABASE_WORKER", "PREP_S3_SECRET", "PREP_SEAL_KEY"} <= said


def test_our_containers_run_existing_commands_with_only_the_rights_they_need() -> None:
    for name, service in OURS.items():
        words = " ".join(service["command"])
        assert set(re.findall(r"(?:^|prep )([a-z]+)", words)) <= {*PROGRAMS, "prep", "migrate", "bus"}, name
        assert service["cap_drop"] == ["ALL"]
        assert service["read_only"] is True
        # Each part enters the database with a role of its own, and knows no other.
        addresses = {secret for secret in names(service, "secrets") if secret.startswith("prep_database")}
        part = "publisher" if name == "publisher-standby" else name
        assert addresses == {f"prep_database_{part}"} or name in {"prepared", "admin"}, name
    assert "USER prep" in (DEPLOY / "Containerfile").read_text()
    [asked] = re.findall(r"^HEALTHCHECK .*\n +CMD .*(/\w+)", (DEPLOY / "Containerfile").read_text(), re.MULTILINE)
    assert asked == "/livez", (
        "an orchestrator restarts a part that is ill, and a restart heals no database that does not answer"
    )


def test_every_server_has_limits_and_a_health_check_and_is_started_again() -> None:
    for name, service in SERVICES.items():
        assert service["image"].partition(":")[2] not in {"", "latest"}, name
        assert "no-new-privileges:true" in service.get("security_opt", []) or name == "s3-prepared"
        assert not service.get("privileged")
        if service["restart"] == "unless-stopped":
            assert {"cpus", "memory"} <= set(service["deploy"]["resources"]["limits"]), name
            assert "healthcheck" in service or name in OURS, name


def test_only_nginx_and_grafana_can_be_reached_from_outside() -> None:
    assert {name for name, service in SERVICES.items() if "ports" in service} == {"intake", "results", "grafana"}
    inside = {name for name, network in COMPOSE["networks"].items() if network.get("internal")}
    assert inside == {"datos", "recepcion", "vigilancia"}
    for name, service in SERVICES.items():
        assert name in {"intake", "results", "grafana"} or names(service, "networks") <= {*inside, "salida"}


def test_only_services_that_need_stamps_or_witnesses_can_reach_the_outside() -> None:
    reaching = {name for name, service in SERVICES.items() if "salida" in names(service, "networks")}
    assert reaching == {"publisher", "publisher-standby", "sequencer"}
    assert all("./sello:/sello:ro" in SERVICES[name]["volumes"] for name in reaching)


def test_the_files_of_a_command_outlive_its_container() -> None:
    """The acts of the ceremonies cannot be made a second time."""
    assert "admin:/var/lib/prep" in SERVICES["admin"]["volumes"]


@pytest.mark.parametrize("name", SERVICES)
def test_no_place_is_mounted_twice(name: str) -> None:
    """Docker Compose would refuse the whole file."""
    service = SERVICES[name]
    kept = [each.split(":")[1] for each in service.get("volumes", [])]
    places = kept + [each.split(":")[0] for each in service.get("tmpfs", [])]
    assert len(places) == len(set(places))


def test_no_file_of_the_repository_holds_a_secret() -> None:
    for name, service in SERVICES.items():
        for variable, value in service.get("environment", {}).items():
            if re.search(r"PASSWORD|SECRET|KEY|DATABASE|TOKEN", variable):
                assert value.startswith("/run/secrets/"), f"{name}: {variable}"
    for path in (each for each in DEPLOY.rglob("*") if each.is_file() and "secrets" not in each.parts):
        assert not re.search(r"://[^/\s:$]+:[^@\s$]+@", path.read_text()), path
        assert "BEGIN PRIVATE KEY" not in path.read_text(), path


def test_prometheus_asks_existing_services_at_their_right_ports() -> None:
    ports = {"capture": "capture_port"}
    ports |= {part: f"{part}_metrics_port" for part in ("worker", "publisher", "sequencer")}
    for job in yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())["scrape_configs"]:
        [found] = job["dns_sd_configs"]
        port = Settings.model_fields[ports[job["job_name"]]].default
        for name in found["names"]:
            assert found["port"] == port
            assert SERVICES[name]["environment"]["HEALTH_PORT"] == str(port)
            assert "vigilancia" in SERVICES[name]["networks"]


def test_each_metric_that_is_asked_for_is_one_that_a_process_has() -> None:
    """In the rules, their tests and the screen. A name that is wrong is a question without an answer, for ever."""
    assert observe.BUILD  # its metrics are declared
    had = {sample for metric in REGISTRY.collect() for sample in samples(metric.name, metric.type)}
    prometheus = [path for path in DEPLOY.rglob("*") if path.suffix in {".yml", ".json"}]
    texts = {path: path.read_text() for path in prometheus}
    rules = {name for text in texts.values() for name in re.findall(r"record: (prep:[a-z0-9_:]+)", text)}
    asked = {name: path for path, text in texts.items() for name in re.findall(r"\bprep[_:][a-z0-9_:]*[a-z0-9]", text)}
    assert {name: path.name for name, path in asked.items() if name not in had | rules} == {}
    assert len(asked) > 40


def samples(name: str, kind: str) -> set[str]:
    """The series of a metric of that name and kind."""
    match kind:
        case "counter":
            return {f"{name}_total"}
        case "histogram":
            return {f"{name}_bucket", f"{name}_sum", f"{name}_count"}
        case "info":
            return {f"{name}_info"}
        case _:
            return {name}


# The secrets.


@pytest.fixture
def prepared(tmp_path: Path) -> Path:
    shutil.copy(DEPLOY / "prepare.sh", tmp_path)
    prepare(tmp_path)
    return tmp_path


def prepare(folder: Path) -> None:
    subprocess.run(["sh", str(folder / "prepare.sh")], check=True, stdout=subprocess.DEVNULL)


def test_every_secret_is_made_once_at_random_and_kept_from_others(prepared: Path, tmp_path_factory: Any) -> None:
    made = {path.name: path.read_text() for path in (prepared / "secrets").iterdir()}
    wanted = {Path(each["file"]).name for each in COMPOSE["secrets"].values()}
    assert wanted - set(made) == {"tls_capture.crt", "tls_capture.key", "tls_published.crt", "tls_published.key"}
    assert (prepared / "secrets").stat().st_mode & 0o777 == 0o700
    prepare(prepared)
    assert {path.name: path.read_text() for path in (prepared / "secrets").iterdir()} == made
    other = tmp_path_factory.mktemp("otra")
    shutil.copy(DEPLOY / "prepare.sh", other)
    prepare(other)
    for name, value in made.items():
        assert (other / "secrets" / name).read_text() != value, f"{name} is the same everywhere"
        assert len(value) >= 64


def test_the_secrets_agree_with_each_other_and_with_the_services(prepared: Path) -> None:
    def secret(name: str) -> str:
        return (prepared / "secrets" / name).read_text().strip()

    [identity] = json.loads(secret("s3_identities"))["identities"]
    assert identity["credentials"] == [{"accessKey": secret("prep_s3_key_id"), "secretKey": secret("prep_s3_secret")}]
    owner = SERVICES["postgres"]["environment"]["POSTGRES_USER"]
    for name, who, password in (
        ("prep_database_owner", owner, "postgres_owner_password"),
        *((f"prep_database_{part.name.lower()}", part, f"postgres_{part.name.lower()}_password") for part in Part),
    ):
        assert secret(name) == f"postgresql://{who}:{secret(password)}@postgres:5432/prep"
    named = set(re.findall(r"\$\{([A-Z_]+)", (DEPLOY / "compose.yaml").read_text()))
    assert named == set(re.findall(r"^([A-Z_]+)=", (prepared / ".env").read_text(), re.MULTILINE))


# The image.


def test_the_image_holds_exactly_the_packages_of_the_lock() -> None:
    [install] = re.findall(r"pip install (?:.*\\\n)*.*", (DEPLOY / "Containerfile").read_text())
    words = install.replace("\\\n", " ").split()
    assert {"--no-deps", "--require-hashes", "--only-binary"} <= set(words)
    assert words[-2:] == ["-r", "requirements.lock"]


def test_the_build_of_the_image_can_read_all_files_that_it_copies() -> None:
    copied = set(re.findall(r"^COPY (?!--from)(.+) \S+$", (DEPLOY / "Containerfile").read_text(), re.MULTILINE))
    sources = {word for line in copied for word in line.split()}
    let_in = set(re.findall(r"^!(.+)$", (DEPLOY / "Containerfile.dockerignore").read_text(), re.MULTILINE))
    # Of the screens the image holds the built files alone (`capture/web/dist`), which the tree below `capture` brings.
    assert sources == let_in - {"capture/web/dist"}
    assert all((ROOT / source).exists() for source in sources)
