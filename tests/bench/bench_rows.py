"""Rows of a results file, made by hand."""


def result(method="dgi", seed=0, value=0.8, **changes):
    row = {
        "method": method,
        "encoder": "none" if method in ("raw", "propagated") else "gcn",
        "dataset": "cora",
        "protocol": "public",
        "seed": seed,
        "device": "cpu",
        "version": "0.1.0",
        "commit": None,
        "torch": "2.13.0",
        "config": {"recipe": "cora", "recipe_encoder": "gcn", "training": {}, "options": {}},
        "config_hash": f"{method:0<16.16}",
        "status": "ok",
        "reason": None,
        "probe": "logistic",
        "metric": "accuracy",
        "value": value,
        "valid_value": 0.8,
        "steps": 10,
        "train_seconds": 1.5,
        "eval_seconds": 0.5,
        "peak_memory_bytes": 1000,
    }
    if method in ("raw", "propagated"):
        row["config"] = {"control": method}
    return {**row, **changes}


def failure(method="dgi", seed=0, status="failed", **changes):
    fields = ("probe", "metric", "valid_value", "steps", "train_seconds", "eval_seconds", "peak_memory_bytes")
    lost = {**dict.fromkeys(fields), "status": status, "reason": "ValueError: no"}
    return result(method, seed, None, **{**lost, **changes})
