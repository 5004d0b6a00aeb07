"""Validation: a device's heat and battery against closed forms and independent integrations.

Heat: C dT/dt = P - (T - T_a) / R (Incropera et al. 2011, section 5.3), integrated by SciPy's
DOP853 with event detection, which knows nothing of the program's exponentials; closed forms of the
square wave and of the duty cycle. Battery: capacity / power, and the reflection of the free path
at the capacity, level = free - max(0, running maximum of free - capacity) (Harrison 1985, ch. 2).
"""

from __future__ import annotations

import math

import numpy as np
import pytest
import simpy
from scipy.integrate import solve_ivp

from simsplit.messages import Scheme
from simsplit.scenario.devices import Battery, DeviceGroup
from simsplit.sim.device.device import Device
from simsplit.sim.device.thermal import ThermalBody
from simsplit.sim.request import Request
from simsplit.study.worlds import POWER, toy_plan

AMBIENT_C, R, C = 22.0, 15.0, 4.0  # tau = 60 s; steady at 0.5 W: 29.5, at 3 W: 67 degrees
IDLE_W, COMPUTE_W, SLOW_W, SLOW = POWER.idle_w, POWER.compute_w, 1.2, 0.4  # slow: 40 degrees
HOT_C, COOL_C = 60.0, 50.0
BODY = ThermalBody(R, C, HOT_C, COOL_C, SLOW, SLOW_W)
NEVER_HOT = ThermalBody(R, C, 200.0, 150.0, SLOW, SLOW_W)
TIGHT = {"method": "DOP853", "rtol": 1e-10, "atol": 1e-10}


def made(device_s: float, **body: object) -> Device:
    group = DeviceGroup.model_validate(
        {
            "name": "g",
            "count": 1,
            "hardware": "toy",
            "operating_point": "point",
            "arrivals": {"kind": "poisson", "rate_hz": 1.0},
        }
    )
    plans = {"point": toy_plan(Scheme.RAW, device_s=device_s)}
    return Device(simpy.Environment(), 0, group, plans, POWER, ambient_c=AMBIENT_C, **body)


def periodic(device: Device, period_s: float) -> list[Request]:
    """A request at 0, period, 2 periods, …, as long as there is power."""
    done: list[Request] = []

    def arrive():
        while device.has_power():
            request = Request(len(done), 0, 0, "g", "point", "raw", 0, device.env.now)
            done.append(request)
            device.env.process(device.compute(request))
            yield device.env.timeout(period_s)

    device.env.process(arrive())
    return done


def slope(power_w: float):
    """Kelvin per second, and watts (the second unknown is energy)."""
    return lambda _t, y: [(power_w - (y[0] - AMBIENT_C) / R) / C, power_w]


def crossing(level_c: float, direction: int):
    def event(_t, y):
        return y[0] - level_c

    event.terminal, event.direction = True, direction
    return event


def integrated(start_c: float, power_w: float, seconds: float, event=None):
    """Temperature, joules and seconds at the end of a stretch or at the event, by DOP853."""
    found = solve_ivp(slope(power_w), (0.0, seconds), [start_c, 0.0], events=event, **TIGHT)
    return found.y[0, -1], found.y[1, -1], found.t[-1]


def hybrid(work_s: float, start_c: float):
    """A computation under the thermostat: seconds, joules, slow seconds, final temperature."""
    temperature, slow = start_c, start_c >= HOT_C
    total_s = joules = slow_s = 0.0
    while work_s > 1e-12:
        speed, watts = (SLOW, SLOW_W) if slow else (1.0, COMPUTE_W)
        event = crossing(COOL_C, -1) if slow else crossing(HOT_C, 1)
        temperature, energy, spent_s = integrated(temperature, watts, work_s / speed, event)
        slow = not slow if spent_s < work_s / speed else slow
        slow_s += spent_s if speed < 1.0 else 0.0
        total_s, joules, work_s = total_s + spent_s, joules + energy, work_s - spent_s * speed
    return total_s, joules, slow_s, temperature


def test_temperature_under_a_square_wave_of_power():
    load_s, period_s, cycles = 13.0, 40.0, 6
    device = made(load_s, thermal=NEVER_HOT)
    periodic(device, period_s)
    temperature = AMBIENT_C + IDLE_W * R
    for cycle in range(cycles):
        for watts, end_s in ((COMPUTE_W, load_s), (IDLE_W, period_s)):
            stretch_s = load_s if watts == COMPUTE_W else period_s - load_s
            device.env.run(until=cycle * period_s + end_s - stretch_s / 3)
            middle, _, _ = integrated(temperature, watts, stretch_s * 2 / 3)
            assert device.temperature_c == pytest.approx(middle, abs=1e-6)
            temperature, _, _ = integrated(temperature, watts, stretch_s)


def test_peaks_and_mean_of_the_periodic_steady_state():
    """Peak: T_idle + (T_on - T_idle)(1 - e^(-d/tau))/(1 - e^(-p/tau)); mean: T_a + R P_mean."""
    load_s, period_s = 13.0, 40.0
    device = made(load_s, thermal=NEVER_HOT)
    periodic(device, period_s)
    begin_s = 30 * period_s
    times = begin_s + np.linspace(0.0, period_s, 4001)[:-1] + period_s / 8000
    temperatures = []
    for now_s in times:
        device.env.run(until=now_s)
        temperatures.append(device.temperature_c)
    mean_w = (load_s * COMPUTE_W + (period_s - load_s) * IDLE_W) / period_s
    assert np.mean(temperatures) == pytest.approx(AMBIENT_C + R * mean_w, abs=1e-4)
    rise = (COMPUTE_W - IDLE_W) * R
    share = -math.expm1(-load_s / (R * C)) / -math.expm1(-period_s / (R * C))
    peak_c = AMBIENT_C + IDLE_W * R + rise * share
    assert device.station_extra()["max_temperature_c"] == pytest.approx(peak_c, abs=1e-6)
    assert device.station_extra()["throttled_s"] == 0.0


def test_time_to_throttle():
    start_c = AMBIENT_C + IDLE_W * R
    _, _, truth_s = integrated(start_c, COMPUTE_W, 1e4, crossing(HOT_C, 1))
    device = made(1e4, thermal=BODY)
    periodic(device, 1e9)
    device.env.run(until=truth_s - 1e-6)
    assert device.temperature_c == pytest.approx(HOT_C, abs=1e-5)
    assert device.station_extra()["throttled_s"] == 0.0
    device.env.run(until=truth_s + 5.0)
    after_c, _, _ = integrated(HOT_C, SLOW_W, 5.0)
    assert device.temperature_c == pytest.approx(after_c, abs=1e-6)
    assert device.station_extra()["throttled_s"] == pytest.approx(5.0, abs=1e-6)


@pytest.mark.parametrize("work_s", [20.0, 120.0, 700.0])
def test_one_long_computation_under_the_thermostat(work_s):
    seconds, joules, slow_s, end_c = hybrid(work_s, AMBIENT_C + IDLE_W * R)
    device = made(work_s, thermal=BODY)
    (request,) = requests = periodic_once(device)
    device.env.run(until=seconds + 1e-3)
    assert request.device_end_s == pytest.approx(seconds, abs=1e-5)
    assert request.compute_energy_j == pytest.approx(joules, rel=1e-7)
    assert device.processor.ledger.joules("compute") == pytest.approx(joules, rel=1e-7)
    assert device.processor.ledger.seconds["compute"] == pytest.approx(seconds, abs=1e-5)
    assert device.station_extra()["throttled_s"] == pytest.approx(slow_s, abs=1e-5)
    cooled_c, _, _ = integrated(end_c, IDLE_W, 1e-3)
    assert device.temperature_c == pytest.approx(cooled_c, abs=1e-4)
    assert len(requests) == 1


def periodic_once(device: Device) -> list[Request]:
    requests = periodic(device, 1e9)
    device.env.run(until=1e-9)
    return requests


def test_long_run_throughput_under_sustained_load():
    """Duty cycle between the thermostat's limits: (t_hot + scale t_cool) / (t_hot + t_cool)."""
    _, hot_j, hot_s = integrated(COOL_C, COMPUTE_W, 1e4, crossing(HOT_C, 1))
    _, cool_j, cool_s = integrated(HOT_C, SLOW_W, 1e4, crossing(COOL_C, -1))
    rate = (hot_s + SLOW * cool_s) / (hot_s + cool_s)
    mean_w = (hot_j + cool_j) / (hot_s + cool_s)
    job_s, cycles = 0.5, 40
    device = made(job_s, thermal=BODY)
    requests = periodic(device, job_s)  # more than it can do once it is hot
    start_s = 1000.0
    end_s = start_s + cycles * (hot_s + cool_s)
    device.env.run(until=start_s)
    begun_j, begun = work_done(device, requests, job_s)
    device.env.run(until=end_s)
    ended_j, ended = work_done(device, requests, job_s)
    assert (ended - begun) / (end_s - start_s) == pytest.approx(rate, rel=1e-6)
    assert (ended_j - begun_j) / (end_s - start_s) == pytest.approx(mean_w, rel=1e-6)


def work_done(device: Device, requests: list[Request], job_s: float) -> tuple[float, float]:
    """Joules so far and full-speed seconds done: asked for less the backlog."""
    device.processor.ledger.close(device.env.now)
    return device.energy_j, len(requests) * job_s - device.backlog_s


def test_cooling_while_idle_ends_the_throttling():
    """A hot device that rests just long enough starts its next computation at full speed."""
    _, _, hot_s = integrated(AMBIENT_C + IDLE_W * R, COMPUTE_W, 1e4, crossing(HOT_C, 1))
    _, _, rest_s = integrated(HOT_C, IDLE_W, 1e4, crossing(COOL_C, -1))
    for extra_s, speed in ((-0.1, SLOW), (0.1, 1.0)):
        device = made(hot_s + 1e-9, thermal=BODY)
        requests = periodic(device, hot_s + rest_s + extra_s)
        device.env.run(until=requests_end(hot_s, rest_s, extra_s))
        assert requests[1].device_start_s == pytest.approx(hot_s + rest_s + extra_s)
        done_s = hot_s + 1e-9 - device.backlog_s
        assert done_s == pytest.approx(0.05 * speed, rel=1e-4)


def requests_end(hot_s: float, rest_s: float, extra_s: float) -> float:
    return hot_s + rest_s + extra_s + 0.05


# --- battery ----------------------------------------------------------------------------------


def test_lifetime_of_a_constant_load_is_capacity_over_power():
    for capacity_j, start, cutoff in ((600.0, 1.0, 0.0), (600.0, 0.8, 0.1)):
        usable_j = capacity_j * (start - cutoff)
        battery = Battery(capacity_j=capacity_j, initial_share=start, cutoff_share=cutoff)
        idle, busy = made(1.0, battery=battery), made(1e6, battery=battery)
        periodic(busy, 1e9)
        for device, watts in ((idle, IDLE_W), (busy, COMPUTE_W)):
            device.env.run(until=5000.0)
            lifetime_s = device.station_extra()["battery_empty_s"]
            assert lifetime_s == pytest.approx(usable_j / watts, rel=1e-9)


def test_lifetime_of_a_periodic_load_is_capacity_over_mean_power():
    """Whole periods fit: exact; and the harvest counts against the load."""
    load_s, period_s, periods = 2.0, 5.0, 400
    mean_w = (load_s * COMPUTE_W + (period_s - load_s) * IDLE_W) / period_s
    for harvest_w in (0.0, 0.2, 1.0):
        capacity_j = periods * period_s * (mean_w - harvest_w)
        first_j = load_s * (COMPUTE_W - harvest_w)  # begins full: harvest 1.0 W > idle spills none
        assert capacity_j > first_j
        device = made(load_s, battery=Battery(capacity_j=capacity_j, harvest_w=harvest_w))
        requests = periodic(device, period_s)
        device.env.run(until=3 * periods * period_s)
        expected_s = capacity_j / (mean_w - harvest_w)
        extra = device.station_extra()
        assert extra["battery_empty_s"] == pytest.approx(expected_s, abs=period_s)
        if harvest_w < IDLE_W:
            assert extra["battery_empty_s"] == pytest.approx(expected_s, rel=1e-9)
            assert len(requests) == periods


def test_a_dead_device_consumes_no_more_than_it_was_given():
    battery = Battery(capacity_j=100.0, harvest_w=0.2)
    device = made(0.5, battery=battery)
    periodic(device, 3.0)
    device.env.run(until=10_000.0)
    extra = device.station_extra()
    device.processor.ledger.close(10_000.0)
    given_j = 100.0 + 0.2 * 10_000.0
    over_j = 0.5 * (COMPUTE_W - 0.2)  # at most the computation under way when it ran empty
    assert given_j - 1e-6 <= device.energy_j <= given_j + over_j
    assert extra["battery_share"] * 100.0 == pytest.approx(given_j - device.energy_j, abs=1e-6)


def reflected_j(times_s, power_w, harvest_w: float, capacity_j: float, start_j: float):
    """The path reflected at the capacity on a grid that holds every change of power."""
    free = start_j + np.cumsum(np.diff(times_s) * (harvest_w - power_w))
    return free - np.maximum(0.0, np.maximum.accumulate(free - capacity_j))


def test_harvest_beyond_the_mean_power_keeps_it_alive():
    """Steady state: full before each computation; d (P_compute - h) lower after it."""
    load_s, period_s, harvest_w, capacity_j = 1.0, 4.0, 1.4, 20.0
    mean_w = (load_s * COMPUTE_W + (period_s - load_s) * IDLE_W) / period_s
    assert mean_w < harvest_w
    battery = Battery(capacity_j=capacity_j, initial_share=0.5, harvest_w=harvest_w)
    device = made(load_s, battery=battery)
    periodic(device, period_s)
    cycles, grid = 60, 16
    ends_s = np.arange(1, cycles * grid + 1) * period_s / grid
    power_w = np.where(np.arange(cycles * grid) % grid < grid // 4, COMPUTE_W, IDLE_W)
    truth_j = reflected_j(np.append(0.0, ends_s), power_w, harvest_w, capacity_j, 10.0)
    levels_j = []
    for now_s in ends_s:
        device.env.run(until=now_s)
        levels_j.append(device.battery_share * capacity_j)
    assert levels_j == pytest.approx(truth_j, abs=1e-9)
    assert max(levels_j[-grid:]) == pytest.approx(capacity_j)
    assert min(levels_j[-grid:]) == pytest.approx(capacity_j - load_s * (COMPUTE_W - harvest_w))
    assert device.station_extra()["battery_empty_s"] is None
    spilled_j = 10.0 + cycles * period_s * (harvest_w - mean_w) - capacity_j
    assert device.station_extra()["battery_spilled_j"] == pytest.approx(spilled_j, abs=1e-9)


def test_a_load_after_a_long_charge_that_nobody_watched():
    """Full after 10 J / 0.9 W = 11.1 s; the computation at 15 s then takes 1.6 J from 20 J."""
    device = made(1.0, battery=Battery(capacity_j=20.0, initial_share=0.5, harvest_w=1.4))

    def late():
        yield device.env.timeout(15.0)
        yield from device.compute(Request(0, 0, 0, "g", "point", "raw", 0, 15.0))

    device.env.process(late())
    device.env.run(until=16.0)
    assert device.battery_share * 20.0 == pytest.approx(20.0 - (COMPUTE_W - 1.4), rel=1e-12)
    assert device.station_extra()["battery_spilled_j"] == pytest.approx(10.0 + 0.9 * 15.0 - 20.0)
