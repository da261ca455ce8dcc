/*
 * Boost.Fiber: tasks with a stack of their own, in one thread, with its round-robin scheduler and pooled stacks.
 */
#include <boost/fiber/all.hpp>
#include <boost/fiber/pooled_fixedsize_stack.hpp>

#include <vector>

#include "bench/kit/kit.h"

namespace
{

using boost::fibers::fiber;

constexpr int BATCH = 256, TASKS = 128 * BATCH, YIELDS = 2000000, TRIPS = 500000, QUICK = 40;

int scaled(const kit *kit, int count)
{
    return kit->is_quick ? count / QUICK : count;
}

template <typename Body> fiber start(boost::fibers::pooled_fixedsize_stack &stacks, Body body)
{
    return fiber(boost::fibers::launch::post, std::allocator_arg, stacks, body);
}

/* ---- spawn_join ---- */

void live(boost::fibers::pooled_fixedsize_stack &stacks, int count, int at_once)
{
    std::vector<fiber> fibers(static_cast<size_t>(at_once));
    for (int i = 0; i < count; i += at_once) {
        for (fiber &each : fibers)
            each = start(stacks, [] {});
        for (fiber &each : fibers)
            each.join();
    }
}

void run_lives(kit *kit)
{
    boost::fibers::pooled_fixedsize_stack stacks;
    int at_once = *static_cast<const int *>(kit->arg), count = scaled(kit, TASKS) / BATCH * BATCH;
    live(stacks, count / 8 / BATCH * BATCH + BATCH, at_once);
    kit_start(kit);
    live(stacks, count, at_once);
    kit_stop_alone(kit, "ns", count);
}

/* ---- yield ---- */

void take_turns(boost::fibers::pooled_fixedsize_stack &stacks, int count, int times)
{
    std::vector<fiber> fibers;
    for (int i = 0; i < count; i++)
        fibers.push_back(start(stacks, [times] {
            for (int left = times; left > 0; left--)
                boost::this_fiber::yield();
        }));
    for (fiber &each : fibers)
        each.join();
}

void run_yields(kit *kit)
{
    boost::fibers::pooled_fixedsize_stack stacks;
    int count = *static_cast<const int *>(kit->arg), times = scaled(kit, YIELDS) / count;
    take_turns(stacks, count, times / 8);
    kit_start(kit);
    take_turns(stacks, count, times);
    kit_stop_alone(kit, "ns", static_cast<double>(times) * count);
}

/* ---- ping_pong ---- */

void play(boost::fibers::pooled_fixedsize_stack &stacks, int trips)
{
    boost::fibers::unbuffered_channel<int> there, back;
    fiber second = start(stacks, [&] {
        for (int ball : there)
            back.push(ball);
    });
    fiber first = start(stacks, [&] {
        for (int i = 0; i < trips; i++) {
            there.push(i);
            back.value_pop();
        }
        there.close();
    });
    first.join();
    second.join();
}

void run_ping_pong(kit *kit)
{
    boost::fibers::pooled_fixedsize_stack stacks;
    int trips = scaled(kit, TRIPS);
    play(stacks, trips / 8);
    kit_start(kit);
    play(stacks, trips);
    kit_stop_alone(kit, "ns", trips);
}

} // namespace

int main(int argc, char **argv)
{
    static const int one = 1, hundred = 100, batch = BATCH;
    static const kit_case cases[] = {
        {"spawn_join", "fiber", run_lives, &one, 1},
        {"spawn_join", "fiber_batch_256", run_lives, &batch, 1},
        {"yield", "one_fiber", run_yields, &one, 1},
        {"yield", "hundred_fiber", run_yields, &hundred, 1},
        {"ping_pong", "one_loop_fiber", run_ping_pong, nullptr, 1},
    };
    return kit_main(argc, argv, "Boost.Fiber " LIBRARY_VERSION, cases, sizeof(cases) / sizeof(cases[0]));
}
