/*
 * Boost.Asio, two threads: posts to an io_context, and two that sleep and post to each other.
 */
#include <boost/asio.hpp>

#include <thread>

#include "bench/kit/bind.h"
#include "bench/kit/posters.h"

namespace
{

void post_once(void *arg, int, int)
{
    boost::asio::post(
        *static_cast<boost::asio::io_context *>(arg), [] { posters_took(1); });
}

void run_post(kit *kit)
{
    boost::asio::io_context io(1);
    auto work = boost::asio::make_work_guard(io);
    std::thread taker([&io] { io.run(); });
    (void)posters_measure(kit, *static_cast<const int *>(kit->arg), post_once, &io);
    work.reset();
    taker.join();
}

constexpr int TRIPS = 13000, TRIPS_QUICK = 260;

/* Side 0 counts. */
class Game
{
  public:
    explicit Game(kit *of) : kit_(of), trips_(of->is_quick ? TRIPS_QUICK : TRIPS), left_(trips_ + trips_ / 8)
    {
    }

    void play()
    {
        auto home = boost::asio::make_work_guard(sides_[0]), away = boost::asio::make_work_guard(sides_[1]);
        std::thread other([this] {
            bind_here(kit_, 1);
            sides_[1].run();
        });
        bind_here(kit_, 0);
        hit_away();
        sides_[0].run();
        away.reset();
        other.join();
    }

  private:
    void hit_away()
    {
        boost::asio::post(
            sides_[1],
            [this] {
                boost::asio::post(
                    sides_[0], [this] { came_back(); });
            });
    }

    void came_back()
    {
        if (--left_ == trips_)
            kit_start(kit_);
        if (left_ > 0)
            return hit_away();
        kit_stop(kit_, "ns", trips_);
        sides_[0].stop();
    }

    kit *kit_;
    int trips_, left_;
    boost::asio::io_context sides_[2]{boost::asio::io_context(1), boost::asio::io_context(1)};
};

void run_parked(kit *kit)
{
    Game(kit).play();
}

} // namespace

int main(int argc, char **argv)
{
    static const int threads[] = {1, 2, 3, 4};
    static const kit_case cases[] = {
        {"post", "producers_1", run_post, &threads[0], 1}, {"post", "producers_2", run_post, &threads[1], 1},
        {"post", "producers_3", run_post, &threads[2], 1}, {"post", "producers_4", run_post, &threads[3], 1},
        {"ping_pong", "parked", run_parked, nullptr, 2},   {"ping_pong", "parked_call", run_parked, nullptr, 2},
    };
    return kit_main(argc, argv, "Boost.Asio " LIBRARY_VERSION, cases, sizeof(cases) / sizeof(cases[0]));
}
