"""A clock that the tests turn, and a CUDA device that works off its queue by it."""

import itertools
import warnings
from collections import deque

from bench.profiling import clocks

DEPTH = 1024  # launches that fit into a device's queue


class FakeClock(clocks.Clock):
    """A clock that only work moves on. A device with a queue works off what is issued to it."""

    def __init__(self, *, queues=False):
        self.queues = queues
        self.host = 0.0  # seconds
        self.device = 0.0  # when the device will have done all it was told
        self.launched = deque(
            maxlen=DEPTH
        )  # when the device will have done each of the last launches
        self.waits = 0

    def now(self):
        return self.host

    def wait(self):
        self.waits += 1
        self.host = max(self.host, self.device)

    def occupy(self, seconds):
        self.device = max(self.device, self.host) + seconds

    def mark(self):
        return max(self.device, self.host) if self.queues else self.host

    def passed(self, mark):
        return mark <= self.host

    def launch(self, seconds, issue=0.0):
        """Launch a kernel: the host waits if the queue is full."""
        self.host += issue
        if len(self.launched) == DEPTH:
            self.host = max(self.host, self.launched[0])
        self.device = max(self.device, self.host) + seconds
        self.launched.append(self.device)

    def work(self, seconds, issue=0.0, *, kernels=1, waits=False):
        """Return work that takes the device ``seconds``, one after another, and the host ``issue``.

        It consists of ``kernels``, and ``waits`` for the device in the middle.
        """
        times = itertools.repeat(seconds) if isinstance(seconds, float) else iter(seconds)

        def call():
            time = next(times)
            if not self.queues:
                self.host += issue + time
                return
            for number in range(kernels):
                if waits and number == kernels // 2:
                    self.synchronizing()
                self.launch(time / kernels, issue / kernels)

        return call

    def synchronizing(self):
        """Wait as an operation of torch does that needs a value."""
        self.wait()


class FakeCuda:
    """What `CudaClock` asks of torch.cuda. A cycle of its spin takes 1 / ``rate`` seconds."""

    def __init__(self, rate=1.5e9):
        self.clock = FakeClock(queues=True)
        self.clock.synchronizing = self.warn_and_wait
        self.rates = itertools.repeat(rate) if isinstance(rate, float) else iter(rate)
        self.mode = 0
        cuda = self

        class Event:
            def __init__(self, *, enable_timing):
                assert enable_timing

            def record(self, stream):
                assert stream == "stream of cuda:0"
                self.time = cuda.clock.mark()

            def query(self):
                return cuda.clock.passed(self.time)

            def elapsed_time(self, other):
                assert cuda.clock.passed(other.time)  # torch raises if it has not
                return (other.time - self.time) * 1e3

        self.Event = Event

    def synchronize(self, device):
        self.clock.wait()

    def current_stream(self, device):
        return f"stream of {device}"

    def _sleep(self, cycles):
        assert isinstance(cycles, int)
        self.clock.launch(cycles / next(self.rates))

    def get_sync_debug_mode(self):
        return self.mode

    def set_sync_debug_mode(self, mode):
        self.mode = {"warn": 1}.get(mode, mode)

    def warn_and_wait(self):
        if self.mode == 1:
            warnings.warn("called a synchronizing CUDA operation", UserWarning, stacklevel=2)
        self.clock.wait()

    def take_the_place_of(self, cuda, monkeypatch):
        """Let torch.cuda be this one."""
        names = ("Event", "synchronize", "current_stream", "_sleep")
        for name in (*names, "get_sync_debug_mode", "set_sync_debug_mode"):
            monkeypatch.setattr(cuda, name, getattr(self, name))
