"""Requests to Kaggle, by the real kaggle client in its child process, against a stand-in for Kaggle."""

import io
import os
import re
import subprocess
import sys
import traceback
import zipfile
from hashlib import sha256
from pathlib import Path

import pytest

import kaggle_stand_in
from digit_recognizer.competition import api, client
from digit_recognizer.competition.api import allowance, check_access, wait_for_score
from digit_recognizer.competition.download import download_data
from digit_recognizer.errors import InputError, RunError
from kaggle_stand_in import ALLOWANCE_USED, KEY, SIGNATURE, STORE, TOKEN, USERNAME, Entry

SRC = Path(__file__).resolve().parents[2] / "src"
ANSWERS = [7, 2, 1, 0, 4, 1, 4, 9, 5, 9, 0, 6]
CONTENTS = {
    "train.csv": b"label,pixel0\n7,0\n",
    "test.csv": b"pixel0\n0\n",
    "sample_submission.csv": b"ImageId,Label\n",
}
COLD = client.CHILD  # the real child process, not the fork of a warm one
CANARIES = (KEY, TOKEN, SIGNATURE, "canary-expired")


def zipped(contents, method=zipfile.ZIP_DEFLATED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, data in contents.items():
            archive.writestr(name, data)
    return buffer.getvalue()


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """A home without credentials, and an environment without variables of Kaggle."""
    for name in list(os.environ):
        if name.upper().startswith(("KAGGLE", "XDG_CONFIG")):
            monkeypatch.delenv(name)
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture(autouse=True)
def _without_pauses(monkeypatch):
    """Retries follow at once."""
    monkeypatch.setattr(api, "_PACE", 0)


@pytest.fixture
def kaggle(home, tmp_path, monkeypatch, capfd, warm_client):
    """A stand-in, and its credentials in the environment; afterwards no output and no file has a secret."""
    with kaggle_stand_in.kaggle_stand_in(ANSWERS, zipped(CONTENTS)) as stand_in:
        for name, value in {**stand_in.environment, "KAGGLE_USERNAME": USERNAME, "KAGGLE_KEY": KEY}.items():
            monkeypatch.setenv(name, value)
        yield stand_in
    files = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file() and home not in path.parents]
    out, err = capfd.readouterr()
    assert not any(canary in out + err for canary in CANARIES)
    assert not any(canary.encode() in data for canary in CANARIES for data in files)
    assert "kaggle" not in sys.modules  # the client is imported only in the child process


@pytest.fixture
def file(tmp_path):
    """A submission with eleven of twelve labels right."""
    return submission(tmp_path, [*ANSWERS[:-1], 5])


def submission(folder, labels):
    folder.mkdir(exist_ok=True)
    path = folder / "submission.csv"
    path.write_bytes(b"ImageId,Label\n" + b"".join(b"%d,%d\n" % row for row in enumerate(labels, start=1)))
    return path


def submit(file, message, run, **options):
    content = file.read_bytes()
    return api.submit(content, file.name, api.describe(message, run, sha256(content).hexdigest()), **options)


def entry(labels_sha, ref=900):
    return Entry(ref, f"from elsewhere run r0 sha {labels_sha[:12]}", "x.csv", b"", 0, ("COMPLETE", "0.50000", ""))


def failure(function, *arguments, **options) -> str:
    """The message of the expected RunError, one line; no secret is in it or in the traceback."""
    with pytest.raises(RunError) as caught:
        function(*arguments, **options)
    everything = "".join(traceback.format_exception(caught.value))
    assert not any(canary in everything for canary in CANARIES)
    message = str(caught.value)
    assert message.isprintable()
    assert len(message) < 1200
    return message


# Sending


def test_a_file_is_sent_and_scored(kaggle, file):
    received = []
    upload = submit(file, "first try", "r1", status=received.append)
    assert (upload.ref, upload.status, upload.public_score, upload.already_sent) == (1001, "PENDING", None, False)
    assert upload.description == f"first try run r1 sha {upload.sha256[:12]}" == kaggle.entries[0].description
    assert kaggle.entries[0].data == file.read_bytes()
    assert kaggle.entries[0].file_name == "submission.csv"
    scored = wait_for_score(upload, received.append)
    assert (scored.ref, scored.status) == (1001, "COMPLETE")
    assert f"{scored.public_score:.5f}" == kaggle.entries[0].result[1]
    assert len(received) == 2


@pytest.mark.parametrize("score", ["NaN", "inf", "-5", "1.00001"])
def test_a_score_that_no_entry_can_have_is_refused(kaggle, file, score):
    upload = submit(file, "first", "r1")
    kaggle.entries[0].result = ("COMPLETE", score, "")
    kaggle.entries[0].polls_left = 0
    with pytest.raises(RunError, match=f"not valid: entry 1001, public score '{score}'"):
        wait_for_score(upload)
    with pytest.raises(RunError, match="not valid"):
        api.entries()


def test_a_reference_that_no_entry_can_have_is_refused(kaggle, file):
    submit(file, "first", "r1")
    kaggle.entries[0].ref = -1
    with pytest.raises(RunError, match="not valid: entry -1"):
        api.entries()


def test_a_file_is_sent_once_unless_forced(kaggle, file):
    first = submit(file, "first", "r1")
    second = submit(file, "second", "r2")
    assert second.already_sent
    assert (second.ref, second.sha256, second.description) == (first.ref, first.sha256, first.description)
    assert len(kaggle.entries) == 1
    third = submit(file, "third", "r3", force=True)
    assert (third.ref, third.already_sent) == (1002, False)


def test_an_old_entry_is_found_on_a_later_page(kaggle, file):
    first = submit(file, "first", "r1")
    kaggle.entries += [entry("0" * 64, ref) for ref in range(2000, 2005)]
    kaggle.page_size = 2
    assert submit(file, "again", "r2").ref == first.ref


@pytest.mark.parametrize("run", ["x-basic", "bearer", "0123456789abcdef0123456789abcdef0"])
def test_an_entry_is_found_when_the_name_of_its_run_looks_like_a_secret(kaggle, file, run):
    first = submit(file, "https://example.org/?a=b", run)
    assert submit(file, "", run).ref == first.ref
    assert len(kaggle.entries) == 1


def test_the_hash_of_another_file_in_a_message_is_ignored(kaggle, file, tmp_path):
    first = submit(file, "first", "r1")
    submit(submission(tmp_path / "other", ANSWERS), f"like {first.description}", "r2")
    assert submit(file, "again", "r1").ref == first.ref


def test_a_long_message_is_cut_before_run_and_hash():
    description = api.describe("long\nmessage " * 100, "20260801-120000-lenet5", "ab" * 32)
    assert len(description) <= 200
    assert description.endswith(" run 20260801-120000-lenet5 sha abababababab")
    assert description.isprintable()


CLEAR_REFUSALS = {
    "CreateSubmission": [
        (401, "KAGGLE_USERNAME and KAGGLE_KEY are wrong or expired"),
        (403, "accept the rules .* verify the account .* spelling"),
        (404, "accept the rules .* verify the account .* spelling"),
        (429, "too many requests: try again in a few minutes"),
        (
            (400, ALLOWANCE_USED),
            r"allowance is used up \(uploads made: 0\); it is renewed at 00:00 UTC.*today, please",
        ),
        ((400, "Bad token"), 'answered 400: correct that and try again. Kaggle\'s message: "Bad token"'),
    ],
    "StartSubmissionUpload": [(500, "try again later"), ("html", "not valid")],
    "PUT": [(500, "did not accept the upload. Submit again")],
}


@pytest.mark.parametrize(
    ("call", "fault", "words"),
    [(call, fault, words) for call, faults in CLEAR_REFUSALS.items() for fault, words in faults],
)
def test_a_refusal_has_a_remedy_and_creates_no_entry(kaggle, file, call, fault, words):
    kaggle.fail(call, fault)
    message = failure(submit, file, "", "r1")
    assert message.startswith("submission.csv was not submitted. ")
    assert re.search(words, message), message
    assert kaggle.entries == []
    assert kaggle.requests.count("CreateSubmission") == (call == "CreateSubmission")


def test_a_used_up_allowance_is_reported(kaggle, file):
    kaggle.entries = [entry("0" * 64, ref) for ref in range(1, 6)]
    message = failure(submit, file, "", "r1")
    assert "allowance is used up (uploads made: 5); it is renewed at 00:00 UTC" in message
    assert len(kaggle.entries) == 5


@pytest.mark.parametrize("fault", ["500 after", "lost", "html", "slow"])
def test_an_entry_whose_answer_was_lost_is_found_and_not_sent_again(kaggle, file, monkeypatch, fault):
    monkeypatch.setitem(client.SECONDS, "submit", 3.0)
    kaggle.fail("CreateSubmission", fault)
    received = []
    upload = submit(file, "", "r1", status=received.append)
    assert (upload.ref, upload.status, upload.already_sent) == (1001, "PENDING", False)
    assert "no clear answer" in received[-1]
    assert kaggle.requests.count("CreateSubmission") == len(kaggle.entries) == 1


def test_a_lost_second_entry_is_not_confused_with_the_first(kaggle, file):
    submit(file, "", "r1")
    kaggle.fail("CreateSubmission", "lost")
    assert submit(file, "", "r1", force=True).ref == 1002


def test_a_file_that_is_not_found_is_sent_again_only_by_force(kaggle, file):
    kaggle.fail("CreateSubmission", 500, None)
    message = failure(submit, file, "", "r1")
    assert "its list does not show it. The file was not uploaded again" in message
    assert "its list does not show it" not in failure(submit, file, "", "r1", unclear=True)
    assert kaggle.requests.count("CreateSubmission") == 1
    assert submit(file, "", "r1", unclear=True, force=True).ref == 1001


def test_a_file_of_an_unclear_upload_is_searched_for_first(kaggle, file):
    first = submit(file, "", "r1")
    assert submit(file, "", "r1", unclear=True).ref == first.ref


def test_an_upload_is_retried_and_its_entry_created_once(kaggle, file):
    kaggle.fail("StartSubmissionUpload", 429, "lost", None)
    kaggle.fail("PUT", 503, None)
    steps = []
    upload = submit(file, "", "r1", on_step=steps.append)
    assert (upload.ref, steps) == (1001, ["UPLOADING", "CREATING"])
    assert kaggle.requests.count("StartSubmissionUpload") == 4
    assert kaggle.requests.count("CreateSubmission") == len(kaggle.entries) == 1


def test_the_pause_that_kaggle_asks_for_is_kept_if_it_is_short(kaggle, file, monkeypatch):
    paused = []
    monkeypatch.setattr(api, "_PACE", 1)
    monkeypatch.setattr(api.time, "sleep", paused.append)
    kaggle.retry_after = "60"
    kaggle.fail("StartSubmissionUpload", 429, None)
    submit(file, "", "r1")
    assert paused == [60.0]
    kaggle.retry_after = "Fri, 31 Dec 2100 23:59:59 GMT"
    kaggle.fail("ListSubmissions", 429, None)
    assert "too many requests" in failure(submit, file, "", "r1")
    assert paused == [60.0]
    kaggle.retry_after = "soon"
    kaggle.fail("ListSubmissions", 429, None)
    assert submit(file, "", "r1").already_sent
    assert 1 <= paused[1] <= 3


def test_no_entry_is_created_when_the_step_before_it_fails(kaggle, file):
    def stop(status):
        if status == "CREATING":
            raise RunError("the ledger is full")

    assert failure(submit, file, "", "r1", on_step=stop) == "the ledger is full"
    assert "PUT" in kaggle.requests
    assert "CreateSubmission" not in kaggle.requests


def test_an_unreadable_list_leaves_the_outcome_unclear(kaggle, file):
    kaggle.fail("CreateSubmission", "lost")
    kaggle.fail("ListSubmissions", None, 503)
    assert "its list cannot be read. The file was not uploaded again" in failure(submit, file, "", "r1")
    kaggle.fail("ListSubmissions", None)
    assert submit(file, "", "r1", unclear=True).already_sent
    assert len(kaggle.entries) == 1


def test_nothing_is_sent_when_the_list_cannot_be_read_first(kaggle, file):
    kaggle.fail("ListSubmissions", 500)
    message = failure(submit, file, "", "r1")
    assert "was not uploaded, as Kaggle's list could not be read first" in message
    assert set(kaggle.requests) == {"ListSubmissions"}


# Scores


def test_a_score_that_takes_too_long_leaves_the_entry_pending(kaggle, file):
    kaggle.polls = 1000
    upload = submit(file, "", "r1")
    assert wait_for_score(upload, limit_seconds=0.5) == upload


def test_temporary_failures_do_not_end_the_wait(kaggle, file):
    upload = submit(file, "", "r1")
    kaggle.fail("GetSubmission", 500, 429, "lost", None)
    assert wait_for_score(upload).status == "COMPLETE"


def test_an_account_without_access_ends_the_wait(kaggle, file):
    upload = submit(file, "", "r1")
    kaggle.fail("GetSubmission", 401)
    assert "Entry 1001 was created, but its score cannot be read" in failure(wait_for_score, upload)


def test_a_file_kaggle_cannot_score_is_an_error_with_its_reason(kaggle, tmp_path):
    upload = submit(submission(tmp_path, ANSWERS[:-2]), "", "r1")
    scored = wait_for_score(upload)
    assert scored.status == "ERROR"
    assert scored.error == "Unable to find 2 required key values in the 'ImageId' column"


def test_a_hostile_message_of_kaggle_becomes_one_harmless_line(kaggle, file):
    upload = submit(file, "", "r1")
    hostile = f"\x1b[2J{KEY}\r\n\u202e Authorization: Bearer {TOKEN} {STORE}/x?X-Signature={SIGNATURE} " + "a!" * 9000
    kaggle.entries[0].result = ("ERROR", "", hostile)
    message = wait_for_score(upload).error
    assert f"[2J[hidden] Authorization: Bearer [hidden] {STORE}/x?[hidden] a!a!" in message


# Account


def test_the_allowance_is_read(kaggle, file):
    assert allowance() == api.Allowance(0, 0, 5)
    assert not allowance().exhausted


def test_a_server_without_an_allowance_is_no_error(kaggle):
    kaggle.fail("GetSubmissionLimits", 404)
    assert allowance() is None


def test_an_account_without_entries_has_not_used_up_its_allowance():
    assert not api.Allowance(0, 0, 0).exhausted
    assert api.Allowance(5, 9, 0).exhausted


def test_access_has_the_name_of_the_account(kaggle, monkeypatch):
    monkeypatch.setenv("KAGGLE_API_TOKEN", TOKEN)
    monkeypatch.delenv("KAGGLE_USERNAME")
    assert check_access() == USERNAME


def test_access_is_refused_until_the_rules_are_accepted(kaggle):
    kaggle.fail("DownloadDataFile", 403)
    assert "accept the rules" in failure(check_access)


def test_the_message_for_an_expired_token_names_the_credentials_it_shadows(kaggle, home, monkeypatch):
    (home / ".kaggle").mkdir(parents=True)
    (home / ".kaggle/kaggle.json").write_text(f'{{"username": "{USERNAME}", "key": "{KEY}"}}')
    monkeypatch.delenv("KAGGLE_USERNAME")
    monkeypatch.setenv("KAGGLE_API_TOKEN", "canary-expired")
    message = failure(check_access)
    assert "KAGGLE_API_TOKEN are wrong or expired" in message
    assert "or remove them and ~/.kaggle/kaggle.json will be used" in message
    monkeypatch.delenv("KAGGLE_API_TOKEN")
    assert check_access() == USERNAME


def test_credentials_are_listed_in_the_clients_order(home, monkeypatch):
    assert client.find_credentials() == []
    folder = home / ".kaggle"
    folder.mkdir(parents=True)
    (folder / "credentials.json").write_text('{"refresh_token": "r"}')
    (folder / "kaggle.json").write_text('{"username": "u", "key": "k"}')
    (folder / "access_token").write_text("token\n")
    monkeypatch.setenv("KAGGLE_API_TOKEN", "token")
    monkeypatch.setenv("KAGGLE_USERNAME", "u")
    monkeypatch.setenv("KAGGLE_KEY", "k")
    names = ["KAGGLE_API_TOKEN", "~/.kaggle/access_token", "KAGGLE_USERNAME and KAGGLE_KEY"]
    assert client.find_credentials() == [*names, "~/.kaggle/kaggle.json", "~/.kaggle/credentials.json"]
    (folder / "kaggle.json").write_text("[]")
    (folder / "access_token").write_text("")
    assert client.find_credentials() == [names[0], names[2], "~/.kaggle/credentials.json"]


def test_without_credentials_no_process_is_started(monkeypatch):
    monkeypatch.setattr(client, "CHILD", "never started")
    with pytest.raises(InputError, match="No Kaggle credentials found"):
        check_access()


# The child process


def test_a_missing_network_is_reported(kaggle, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    message = failure(check_access)
    assert "No connection to Kaggle (ProxyError): check network, proxy and certificates" in message


def test_a_call_has_a_time_limit(kaggle, monkeypatch):
    monkeypatch.setattr(client, "READ_SECONDS", 1.5)
    kaggle.fail("GetSubmissionLimits", "slow")
    assert "did not answer in time" in failure(allowance)


def test_other_variables_do_not_reach_the_client(kaggle, file, monkeypatch, tmp_path):
    monkeypatch.setenv("VERBOSE", "1")  # the client would print its headers
    monkeypatch.setenv("VERBOSE_OUTPUT", "1")
    monkeypatch.setenv("KAGGLE_PATH", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("KAGGLE_COMPETITION", "titanic")
    upload = wait_for_score(submit(file, "", "r1"))
    assert upload.status == "COMPLETE"
    download_data(tmp_path / "data")
    assert not (tmp_path / "elsewhere").exists()
    assert not {"VERBOSE", "KAGGLE_PATH"} & set(client._environment("empty"))


def test_a_home_that_cannot_be_written_is_no_problem(kaggle, home):
    home.write_text("a file, so that no folder can be made in it")
    assert check_access() == USERNAME


def test_a_working_client_leaves_no_folder_in_the_home(kaggle, home):
    assert check_access() == USERNAME
    assert not home.exists()


def test_files_in_the_working_folder_are_not_imported(kaggle, tmp_path, monkeypatch):
    (tmp_path / "kaggle.py").write_text("raise SystemExit('imported from the working folder')")
    monkeypatch.setenv("PYTHONPATH", str(SRC))
    code = "from digit_recognizer.competition.api import check_access; print(check_access())"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout == f"{USERNAME}\n", done.stderr


def test_a_client_that_cannot_be_imported_is_reported(kaggle, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (tmp_path / "kaggle.py").write_text("raise ImportError('half installed')")
    monkeypatch.setattr(client, "CHILD", COLD)
    assert "The kaggle client failed (ImportError: half installed)" in failure(check_access)


def test_a_child_process_that_crashes_is_reported(kaggle, file, tmp_path, monkeypatch):
    child = tmp_path / "child.py"
    child.write_text("import sys; print('no json'); sys.exit(3)")
    monkeypatch.setattr(client, "CHILD", child)
    assert "The kaggle client failed (crash: exit code 3)" in failure(check_access)


def test_the_entry_of_a_child_process_killed_before_go_is_searched_for(kaggle, file, tmp_path, monkeypatch):
    child = tmp_path / "child.py"
    child.write_text(
        "import json, os, sys\n"
        "order = json.loads(sys.stdin.readline())\n"
        "if order['call'] == 'submit':\n"
        "    os.close(0)\n"
        "    print(json.dumps({'stage': 'create'}), flush=True)\n"
        "    os.kill(os.getpid(), 9)\n"
        "print(json.dumps({'ok': []}))\n"
    )
    monkeypatch.setattr(client, "CHILD", child)
    assert "its list does not show it" in failure(submit, file, "", "r1")


# Downloading


def test_the_files_are_downloaded_and_nothing_else_is_left(kaggle, tmp_path):
    download_data(tmp_path / "data")
    assert {path.name: path.read_bytes() for path in (tmp_path / "data").iterdir()} == CONTENTS


def test_a_refused_download_leaves_nothing(kaggle, tmp_path):
    kaggle.fail("DownloadDataFiles", 403)
    assert "accept the rules" in failure(download_data, tmp_path / "data")
    assert not (tmp_path / "data").exists()


def flipped(data, at):
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


GOOD_ZIP = zipped(CONTENTS, zipfile.ZIP_STORED)
BAD_ZIPS = {
    "cut short": GOOD_ZIP[:-40],
    "one bit of train.csv": flipped(GOOD_ZIP, GOOD_ZIP.index(b"pixel0")),
    "one bit of the last file": flipped(GOOD_ZIP, GOOD_ZIP.index(b"ImageId")),
    "a web page": b"<html>Please log in</html>",
    "an empty file": b"",
    "a missing file": zipped({name: CONTENTS[name] for name in ("train.csv", "test.csv")}),
    "an extra file": zipped({**CONTENTS, "readme.txt": b""}),
    "names outside the folder": zipped({"../" + name: data for name, data in CONTENTS.items()}),
    "a bomb": zipped({**CONTENTS, "test.csv": bytes(200_000_000)}),
}


@pytest.mark.parametrize("fault", BAD_ZIPS)
def test_a_damaged_or_unexpected_zip_leaves_the_old_files_unchanged(kaggle, tmp_path, fault):
    kaggle.zip_bytes = BAD_ZIPS[fault]
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "train.csv").write_bytes(b"old")
    message = failure(download_data, folder)
    assert message.startswith("digit-recognizer.zip")
    assert "Nothing was written. The files are also at" in message
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {"train.csv": b"old"}
