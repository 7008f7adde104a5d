"""The guide to S3 runs as it stands, against a real server on this machine."""

import pytest
from support.pages import GUIDES, run_page

s3fs = pytest.importorskip("s3fs", reason="nox -s remote installs it")
RUN = "s3://my-bucket/runs/tumour"


def test_the_guide_to_s3_trains_resumes_and_loads(url, tmp_path, monkeypatch, call):
    del url  # It names the server and the credentials in the environment.
    monkeypatch.chdir(tmp_path)
    files = s3fs.S3FileSystem()
    files.mkdir("my-bucket")
    names = run_page(GUIDES / "s3.md", call=call)
    assert names["ckpt"].best_model_path.startswith(RUN)
    files.invalidate_cache()
    kept = {path.rpartition("/")[2] for path in files.find("my-bucket/runs/tumour")}
    assert (tmp_path / "best.keras").is_file()
    assert {"manifest.json", "state.safetensors", "best.keras"} <= kept
