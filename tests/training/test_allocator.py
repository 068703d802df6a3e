"""Memory kept between steps: no pages are cleared anew, and it goes back at the end."""

import subprocess
import sys
import textwrap

import pytest
import torch

from graphssl.training import allocator, keep_memory

LIBC = pytest.mark.skipif(allocator._glibc() is None, reason="needs glibc")


def run(body: str) -> list[int]:
    """The numbers that a fresh process prints: the allocator's state is the process's."""
    program = textwrap.dedent("""
        import resource, torch
        from graphssl.training import keep_memory
        def faults(mib):
            before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
            torch.ones(mib * 2**18)
            return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
        def held():
            lines = open("/proc/self/status").read().splitlines()
            return next(int(line.split()[1]) // 1024 for line in lines if line.startswith("RssAnon"))
    """)
    line = [sys.executable, "-c", program + textwrap.dedent(body)]
    found = subprocess.run(line, capture_output=True, text=True, check=True, timeout=120)
    return [int(word) for word in found.stdout.split()]


@LIBC
def test_kept_memory_is_not_faulted_in_again():
    anew, kept = run("""
        faults(200)
        print(faults(100))
        with keep_memory():
            faults(200)
            print(faults(100))  # smaller: what the allocator needs for alignment fits into the first one's place
    """)
    assert kept < anew / 10


@LIBC
def test_it_goes_back_when_the_last_block_ends_whatever_ends_it():
    before, inner, outer, after = run("""
        print(held())
        try:
            with keep_memory():
                with keep_memory():
                    faults(200)
                    print(held())
                print(held())
                raise KeyError
        except KeyError:
            print(held())
    """)
    assert min(inner, outer) > before + 190
    assert after < before + 20


@LIBC
def test_training_keeps_and_returns_memory():
    during, after = run("""
        import graphssl
        from graphssl.data import planted_communities
        graph = planted_communities(20_000, 4, num_features=64)
        method = graphssl.create_method("dgi", graph, hidden_channels=512)  # rows of 40 MB
        before = held()
        seen = []
        graphssl.train(method, graph, steps=2, on_step=lambda step, loss: seen.append(held() - before))
        print(max(seen), held() - before)
    """)
    assert during > 78  # at least two such matrices, freed or not
    assert after < during / 2


def test_without_glibc_nothing_happens(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    allocator._glibc.cache_clear()
    try:
        assert allocator._glibc() is None
        with keep_memory():
            assert torch.ones(3).sum() == 3
    finally:
        allocator._glibc.cache_clear()
