/*
 * Boost.Context: a switch of stacks by what its fibers are made of.
 */
#include <boost/context/detail/fcontext.hpp>
#include <boost/context/fixedsize_stack.hpp>

#include "bench/kit/kit.h"

namespace
{

using boost::context::detail::jump_fcontext;
using boost::context::detail::make_fcontext;
using boost::context::detail::transfer_t;

constexpr int SWITCHES = 1 << 22, SWITCHES_QUICK = 1 << 18;

void answer(transfer_t from)
{
    for (;;)
        from = jump_fcontext(from.fctx, nullptr);
}

transfer_t go_round(transfer_t there, int rounds)
{
    for (int i = 0; i < rounds; i++)
        there = jump_fcontext(there.fctx, nullptr);
    return there;
}

void run_one_way(kit *kit)
{
    int rounds = (kit->is_quick ? SWITCHES_QUICK : SWITCHES) / 2;
    boost::context::fixedsize_stack stacks;
    boost::context::stack_context stack = stacks.allocate();
    transfer_t there = {make_fcontext(stack.sp, stack.size, answer), nullptr};
    there = go_round(there, rounds / 8);
    kit_start(kit);
    there = go_round(there, rounds);
    kit_stop_alone(kit, "ns", 2.0 * rounds);
    stacks.deallocate(stack);
}

} // namespace

int main(int argc, char **argv)
{
    static const kit_case cases[] = {{"stack_switch", "one_way", run_one_way, nullptr, 1}};
    return kit_main(argc, argv, "Boost.Context " LIBRARY_VERSION, cases, 1);
}
