"""What ran out is recognised in libraries' own words, and in nothing else."""

import errno
import os

import pytest
import torch
from safetensors import SafetensorError

from mmicl.shortages import describe_shortage

NO_ROOM = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (MemoryError(), "features: out of memory: no room; end what else holds memory"),
        (torch.OutOfMemoryError("CUDA out of memory."), "features: out of memory: CUDA out"),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate`"), "out"),
        (NO_ROOM, "features: no room to write (No space left on device); make room there"),
        (SafetensorError("I/O error: … (os error 28)"), "no room to write"),
    ],
)
def test_what_ran_out_is_one_line_with_a_remedy(error: Exception, said: str) -> None:
    found = describe_shortage(error, "features")
    assert found is not None
    assert said in str(found)


@pytest.mark.parametrize(
    "error", [RuntimeError("size mismatch"), OSError(errno.ENOENT, "gone"), ValueError("memory")]
)
def test_other_errors_stay_what_they_are(error: Exception) -> None:
    assert describe_shortage(error, "features") is None
