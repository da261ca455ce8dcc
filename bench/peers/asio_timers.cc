/*
 * Boost.Asio's timers: steady_timer and async_wait. A wait that is taken back has its handler called all the same, which belongs to the cost: it is
 * done for a thousand at a time.
 */
#include <boost/asio.hpp>
#include <boost/version.hpp>

#include <deque>
#include <vector>

#include "bench/kit/alarms.h"

namespace
{

constexpr int ABORTED_MAX = 1000;

boost::asio::io_context io(1);
std::deque<boost::asio::steady_timer> timers;
std::vector<bool> are_armed;
std::chrono::steady_clock::time_point base;
int aborted;

void call_aborted()
{
    if (++aborted < ABORTED_MAX)
        return;
    aborted = 0;
    io.poll();
    io.restart();
}

void timers_open(int count)
{
    for (int i = 0; i < count; i++)
        timers.emplace_back(io);
    are_armed.resize(static_cast<size_t>(count));
}

void timers_now()
{
    base = std::chrono::steady_clock::now();
}

void timer_set(int i, uint64_t delay_ns)
{
    if (are_armed[i])
        call_aborted();
    are_armed[i] = true;
    timers[i].expires_at(base + std::chrono::nanoseconds(delay_ns));
    timers[i].async_wait([i](const boost::system::error_code &error) {
        if (error)
            return;
        are_armed[i] = false;
        if (alarms_fired())
            io.stop();
    });
}

void timer_cancel(int i)
{
    are_armed[i] = false;
    timers[i].cancel();
    call_aborted();
}

void timers_run()
{
    io.restart();
    io.run();
    io.restart();
}

} // namespace

int main(int argc, char **argv)
{
    static const alarms asio = {nullptr, timers_open, timer_set, timers_now, timer_cancel, timers_run};
    return alarms_main(argc, argv, "Boost.Asio " LIBRARY_VERSION, &asio);
}
