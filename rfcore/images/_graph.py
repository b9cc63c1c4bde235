"""On a GPU: the whole update of a run as one CUDA graph on a stream of its own."""

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from rfcore.images._run import Run

WARM = 10  # eager updates before capture: optimiser state and workspaces must exist


class Captured:
    """Replays the update of a run.  A small network's step is some 300 launches of a few microseconds each;
    a graph launches them all at once, and graphs on several streams fill the device together.

    The first updates are eager, on the same stream; they are part of the run, not repeated.  A capture
    records the update without doing it; the generators are registered, so that replays go on drawing.
    """

    def __init__(self, run: "Run") -> None:
        self.run, self.stream = run, torch.cuda.Stream(run.device)  # type: ignore[no-untyped-call]
        self.done, self.graph = 0, torch.cuda.CUDAGraph()

    def update(self) -> None:
        self.stream.wait_stream(torch.cuda.current_stream(self.run.device))
        with torch.cuda.stream(self.stream):
            if self.done < WARM:
                self.run.update()
            else:
                if self.done == WARM:
                    self._capture()
                self.graph.replay()
                self.run.draws.seen += self.run.draws.batch
        self.done += 1

    def settle(self) -> None:
        """Wait until all updates are done, before anyone looks at the network."""
        self.stream.synchronize()

    def _capture(self) -> None:
        torch.cuda.synchronize(self.run.device)
        for generator in self.run.draws.generators.values():
            self.graph.register_generator_state(generator)
        seen = self.run.draws.seen
        with torch.cuda.graph(self.graph, stream=self.stream):
            self.run.update()
        self.run.draws.seen = seen
