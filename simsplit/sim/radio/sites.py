"""Which site a device belongs to, and handover as it moves."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING, Any

import simpy

from simsplit.scenario.cell import HexSites, Sites
from simsplit.sim.radio import mobility

if TYPE_CHECKING:
    from simsplit.sim.radio.channel import SharedChannel
    from simsplit.sim.radio.links import Link
    from simsplit.sim.radio.reach import Reach


MEASURE_S = 0.04  # TS 38.133 clause 9.2: intra-frequency measurements every 40 ms at best


class Association:
    """Strongest site by path gain (fading averaged out), with hysteresis and time to trigger.

    Event A3 of TS 38.331 clause 5.5.4.4, evaluated every 40 ms without measurement error. Every
    time, and at the start, the site that serves must be within reach; ScenarioError else.
    """

    def __init__(
        self, spec: Sites, links: Sequence[Sequence[Link]], slot_s: float, reach: Reach
    ) -> None:
        self._spec, self._reach = spec, reach
        self._links = links
        self._slot_s = slot_s
        self.site_of = [self._strongest(device, 0) for device in range(len(links))]
        self.handovers = [0] * len(links)
        self._better_since_s: list[tuple[int, float] | None] = [None] * len(links)
        if isinstance(spec, HexSites):
            for device, site in enumerate(self.site_of):
                reach.check(device, site, 0.0)

    def _gain_db(self, device: int, site: int, slot: int) -> float:
        return self._links[device][site].mean_gain_db(slot)

    def _strongest(self, device: int, slot: int) -> int:
        sites = range(len(self._links[device]))
        return max(sites, key=lambda site: self._gain_db(device, site, slot))

    def watch(
        self,
        env: simpy.Environment,
        channels: Sequence[SharedChannel],
        paths: Sequence[mobility.Path],
    ) -> None:
        """Follow the devices that move, on all ``channels``, if there is more than one site."""
        moving = [i for i, p in enumerate(paths) if not isinstance(p, mobility.Static)]
        if isinstance(self._spec, HexSites) and moving:
            env.process(self._measure(env, channels, moving, self._spec))

    def _measure(
        self,
        env: simpy.Environment,
        channels: Sequence[SharedChannel],
        moving: Sequence[int],
        spec: HexSites,
    ) -> Generator[simpy.Event, Any, None]:
        while True:
            yield env.timeout(MEASURE_S)
            slot = int(env.now / self._slot_s)
            for device in moving:
                self._reach.check(device, self.site_of[device], env.now)
                site = self._triggered(device, slot, env.now, spec)
                if site is not None and not channels[0].bearers[device].is_barred:
                    env.process(self._hand_over(env, channels, device, site, spec))

    def _triggered(self, device: int, slot: int, now_s: float, spec: HexSites) -> int | None:
        """The new site, once it was better by the hysteresis for the whole time to trigger."""
        own, best = self.site_of[device], self._strongest(device, slot)
        lead_db = self._gain_db(device, best, slot) - self._gain_db(device, own, slot)
        if best == own or lead_db <= spec.hysteresis_db:
            self._better_since_s[device] = None
            return None
        since = self._better_since_s[device]
        if since is None or since[0] != best:
            since = self._better_since_s[device] = (best, now_s)
        if now_s - since[1] < spec.time_to_trigger_s - 1e-9:
            return None
        self._better_since_s[device] = None
        return best

    def _hand_over(
        self,
        env: simpy.Environment,
        channels: Sequence[SharedChannel],
        device: int,
        site: int,
        spec: HexSites,
    ) -> Generator[simpy.Event, Any, None]:
        """The device is silent for the interruption time and goes on at the new site."""
        self.site_of[device] = site
        self.handovers[device] += 1
        for channel in channels:
            channel.detach(channel.bearers[device], site)
        yield env.timeout(spec.interruption_s)
        for channel in channels:
            channel.attach(channel.bearers[device])
