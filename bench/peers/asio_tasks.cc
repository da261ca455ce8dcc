/*
 * Boost.Asio's coroutines: C++20's, in an io_context that one thread runs. Which have no stack, as weft's steps.
 */
#include <utility> // which this version of Asio forgets

#include <boost/asio.hpp>

#include "bench/kit/kit.h"

namespace
{

namespace asio = boost::asio;

constexpr int BATCH = 256, TASKS = 128 * BATCH, YIELDS = 2000000, QUICK = 40;

int scaled(const kit *kit, int count)
{
    return kit->is_quick ? count / QUICK : count;
}

/* ---- spawn_join ---- */

asio::awaitable<void> end_at_once()
{
    co_return;
}

asio::awaitable<void> live(int count)
{
    auto here = co_await asio::this_coro::executor;
    for (int i = 0; i < count; i++)
        co_await asio::co_spawn(here, end_at_once(), asio::use_awaitable);
}

asio::awaitable<void> measure_lives(kit *kit)
{
    int count = scaled(kit, TASKS);
    co_await live(count / 8);
    kit_start(kit);
    co_await live(count);
    kit_stop_alone(kit, "ns", count);
}

void run_lives(kit *kit)
{
    asio::io_context io(1);
    asio::co_spawn(io, measure_lives(kit), asio::detached);
    io.run();
}

/* ---- yield ---- */

asio::awaitable<void> yield_often(int times)
{
    auto here = co_await asio::this_coro::executor;
    for (int left = times; left > 0; left--)
        co_await asio::post(here, asio::use_awaitable);
}

void take_turns(asio::io_context &io, int count, int times)
{
    for (int i = 0; i < count; i++)
        asio::co_spawn(io, yield_often(times), asio::detached);
    io.run();
    io.restart();
}

void run_yields(kit *kit)
{
    asio::io_context io(1);
    int count = *static_cast<const int *>(kit->arg), times = scaled(kit, YIELDS) / count;
    take_turns(io, count, times / 8);
    kit_start(kit);
    take_turns(io, count, times);
    kit_stop_alone(kit, "ns", static_cast<double>(times) * count);
}

} // namespace

int main(int argc, char **argv)
{
    static const int one = 1, hundred = 100;
    static const kit_case cases[] = {
        {"spawn_join", "step", run_lives, nullptr, 1},
        {"yield", "one", run_yields, &one, 1},
        {"yield", "hundred", run_yields, &hundred, 1},
    };
    return kit_main(argc, argv, "Boost.Asio " LIBRARY_VERSION, cases, sizeof(cases) / sizeof(cases[0]));
}
