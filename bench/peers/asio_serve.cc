/*
 * Boost.Asio: the servers, by its sockets and handlers.
 *
 * An io_context for each thread, without locks. What a connection receives goes into a buffer of its own, which grows as messages fill it;
 * replies are sent at once, and what the kernel does not take is written asynchronously, with nothing received before that.
 */
#include <boost/asio.hpp>
#include <vector>

#include "bench/kit/service.h"

namespace
{

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

constexpr size_t FIRST_BYTES = 2048;

class connection
{
  public:
    connection(tcp::socket &&socket, const service *service)
        : socket_(std::move(socket)), service_(service), buffer_(FIRST_BYTES),
          state_((service->state_bytes + sizeof(void *) - 1) / sizeof(void *))
    {
        error_code ignored;
        socket_.non_blocking(true, ignored);
        if (service_->made != nullptr)
            service_->made(state_.data());
    }

    void receive()
    {
        socket_.async_read_some(
            asio::buffer(buffer_), [this](const error_code &error, size_t count) { received(error, count); });
    }

  private:
    void received(const error_code &error, size_t count)
    {
        const char *reply;
        ptrdiff_t len = error ? -1 : service_->reply(state_.data(), buffer_.data(), count, &reply);
        if (len < 0) {
            delete this;
            return;
        }
        error_code status;
        size_t sent = len == 0 ? 0 : socket_.write_some(asio::buffer(reply, size_t(len)), status);
        if (status && status != asio::error::would_block)
            delete this;
        else if (sent < size_t(len))
            send_later(reply + sent, size_t(len) - sent);
        else
            go_on(count);
    }

    void send_later(const char *bytes, size_t len)
    {
        rest_.assign(bytes, bytes + len);
        asio::async_write(socket_, asio::buffer(rest_), [this](const error_code &error, size_t) {
            if (error)
                delete this;
            else
                go_on(buffer_.size());
        });
    }

    void go_on(size_t count)
    {
        if (count == buffer_.size() && count < service_->buffer_bytes)
            buffer_.resize(service_->buffer_bytes);
        receive();
    }

    tcp::socket socket_;
    const service *service_;
    std::vector<char> buffer_, rest_;
    std::vector<void *> state_;
};

void accept_next(tcp::acceptor &acceptor, const service *service)
{
    acceptor.async_accept([&acceptor, service](const error_code &error, tcp::socket socket) {
        if (!error)
            (new connection(std::move(socket), service))->receive();
        accept_next(acceptor, service);
    });
}

void run(int listener, const void *arg)
{
    asio::io_context context(BOOST_ASIO_CONCURRENCY_HINT_UNSAFE);
    tcp::acceptor acceptor(context);
    acceptor.assign(tcp::v4(), listener);
    accept_next(acceptor, static_cast<const service *>(arg));
    context.run();
}

} // namespace

int main(int argc, char **argv)
{
    return service_main(argc, argv, "Boost.Asio " LIBRARY_VERSION, run);
}
