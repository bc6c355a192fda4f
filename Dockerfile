# Images of Redis and Valkey with the module.
#
#   docker build --target redis -t redis-model .
#   docker build --target valkey -t valkey-model .
#   docker build --target redis --build-arg REDIS=redis:7.4 -t redis-model:7.4 .
#
# The tests of this repository need no Docker, and build no image: they compare this file with the sources (every file that
# is copied exists, folders, features and versions agree), and run the same commands outside of an image. Not tried are the base
# images themselves: that their tags exist, their entry points, and that their C library is as new as that of the image
# in which the module is compiled.

ARG RUST=rust:1-bookworm
ARG REDIS=redis:8
ARG VALKEY=valkey/valkey:9

FROM ${RUST} AS build
WORKDIR /source
COPY scripts/setup scripts/setup
RUN scripts/setup
# Without rust-toolchain.toml, which would have rustup fetch another compiler.
COPY Cargo.toml Cargo.lock build.rs ./
COPY benches benches
COPY scripts scripts
COPY src src
# The commit that MODEL.HELP names; without it, the image says that it is unknown: there is no git in here.
ARG COMMIT=
RUN REDIS_MODEL_COMMIT=${COMMIT} scripts/build --locked

FROM ${REDIS} AS redis
COPY --from=build /source/target/release/libredis_model.so /usr/lib/redis/modules/libredis_model.so
COPY LICENSE /usr/share/doc/redis-model/LICENSE
CMD ["redis-server", "--loadmodule", "/usr/lib/redis/modules/libredis_model.so"]

FROM ${VALKEY} AS valkey
COPY --from=build /source/target/release/libredis_model.so /usr/lib/redis/modules/libredis_model.so
COPY LICENSE /usr/share/doc/redis-model/LICENSE
CMD ["valkey-server", "--loadmodule", "/usr/lib/redis/modules/libredis_model.so"]
