# Shared by ops/demo and ops/test: installs what is missing and starts servers on loopback.
# Sourced, never run. Everything started here writes to a file and is stopped by its own pid.

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
run_dir=${MIDWATCH_RUN_DIR:-$top/target/run}
mkdir -p "$run_dir"

say() { printf '\033[1m== %s\033[0m\n' "$*" >&2; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }

# need PACKAGE…: Debian packages, installed only where missing.
need() {
    local missing=() package
    for package in "$@"; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' \
            || missing+=("$package")
    done
    [ ${#missing[@]} -eq 0 ] && return 0
    [ "$(id -u)" = 0 ] || die "missing packages: ${missing[*]}. Install them, or run this as root"
    command -v apt-get >/dev/null || die "missing packages: ${missing[*]}, and there is no apt-get"
    say "installing ${missing[*]}"
    if ! apt-get install -y --no-install-recommends "${missing[@]}" >"$run_dir/apt.log" 2>&1; then
        apt-get update >"$run_dir/apt.log" 2>&1 || true
        apt-get install -y --no-install-recommends "${missing[@]}" >>"$run_dir/apt.log" 2>&1 \
            || die "cannot install ${missing[*]}; see $run_dir/apt.log"
    fi
}

# need_rust: cargo of at least the version in Cargo.toml.
need_rust() {
    need gcc libc6-dev pkg-config libssl-dev
    [ -r "$HOME/.cargo/env" ] && . "$HOME/.cargo/env"
    command -v cargo >/dev/null \
        || die "cargo is missing; install Rust (https://rustup.rs), then run this again"
    local want have
    want=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' "$top/Cargo.toml")
    have=$(cargo --version | cut -d' ' -f2)
    [ "$(printf '%s\n%s\n' "$want" "$have" | sort -V | head -n1)" = "$want" ] \
        || die "Rust $have is too old, $want is needed: rustup update"
}

build_release() {
    need_rust
    say "building the release binary"
    (cd "$top" && cargo build --release --locked --quiet --bin midwatch) || die "the build failed"
    midwatch=$top/target/release/midwatch
}

# A small question to the daemon that hangs on no dead socket.
docker_answers() { timeout 10 docker -H "$1" version >/dev/null 2>&1; }

# start_docker: the daemon of DOCKER_HOST or the usual socket; starts Debian's where none answers.
start_docker() {
    DOCKER_HOST=${DOCKER_HOST:-unix:///var/run/docker.sock}
    export DOCKER_HOST
    if command -v docker >/dev/null && docker_answers "$DOCKER_HOST"; then return 0; fi
    need docker.io
    docker_answers "$DOCKER_HOST" && return 0
    [ "$DOCKER_HOST" = unix:///var/run/docker.sock ] \
        || die "no Docker daemon answers at $DOCKER_HOST"
    [ "$(id -u)" = 0 ] || die "no Docker daemon answers, and starting one needs root"
    say "starting dockerd"
    # A stale pid file of a machine that went down would keep the daemon from starting.
    if [ -s /var/run/docker.pid ] \
        && [ "$(cat "/proc/$(cat /var/run/docker.pid)/comm" 2>/dev/null)" != dockerd ]; then
        rm -f /var/run/docker.pid
    fi
    local bridge=()
    for bridge in "" "--iptables=false --ip6tables=false --bridge=none"; do
        # shellcheck disable=SC2086
        setsid nohup dockerd $bridge >"$run_dir/dockerd.log" 2>&1 </dev/null &
        docker_pid=$!
        local i
        for i in $(seq 60); do
            docker_answers "$DOCKER_HOST" && return 0
            kill -0 "$docker_pid" 2>/dev/null || break
            sleep 0.5
        done
        kill "$docker_pid" 2>/dev/null || true
        sleep 1
    done
    die "dockerd does not start; see $run_dir/dockerd.log"
}

# stop_docker: only the daemon that start_docker started.
stop_docker() { stop "${docker_pid:-}"; docker_pid=; }

# stop PID: ends a process and waits for it; nothing where there is none.
stop() {
    [ -n "$1" ] && kill "$1" 2>/dev/null || return 0
    local i
    for i in $(seq 40); do kill -0 "$1" 2>/dev/null || break; sleep 0.5; done
}

# debian_base REFERENCE stale|fresh: a Debian 12 base, as main alone ships it or with its security suite.
debian_base() {
    local reference=$1 state=$2 tar=$run_dir/debian-$2.tar
    if [ ! -s "$tar" ]; then
        need mmdebstrap
        say "making a $state Debian base"
        local mirror security
        # A mirror of the machine's own release carries Debian 12 too.
        local own
        own=$(. /etc/os-release && echo "${VERSION_CODENAME:-stable}")
        mirror=$(apt_address bookworm || apt_address "$own") \
            || die "apt knows no Debian mirror; add one to its sources"
        security=$(apt_address bookworm-security || apt_address "$own-security") || security=
        local lines=("deb $mirror bookworm main")
        if [ "$state" = fresh ]; then
            [ -n "$security" ] || die "apt knows no security mirror; add one to its sources"
            lines+=("deb $mirror bookworm-updates main" "deb $security bookworm-security main")
        fi
        SOURCE_DATE_EPOCH=0 mmdebstrap --variant=minbase --format=tar --quiet bookworm "$tar.part" "${lines[@]}" \
            >"$run_dir/mmdebstrap-$state.log" 2>&1 \
            || die "cannot make the $state base; see $run_dir/mmdebstrap-$state.log"
        mv "$tar.part" "$tar"
    fi
    docker import "$tar" "$reference" >/dev/null || die "docker import of $tar failed"
}

# apt_address SUITE: where this machine's apt gets the suite.
apt_address() {
    apt-get indextargets --format '$(REPO_URI) $(CODENAME) $(SUITE)' 2>/dev/null \
        | awk -v suite="$1" '$2 == suite || $3 == suite { sub("/$", "", $1); print $1; found = 1; exit }
            END { exit !found }'
}

# start_current_engine: the newest Docker Engine beside Debian's, where Go can build it; its tests are
# skipped by name where it cannot be had, and fail in CI.
start_current_engine() {
    local dockerd=$run_dir/bin/dockerd root=$run_dir/current socket=/run/docker-current.sock
    if docker_answers "unix://$socket"; then
        export MIDWATCH_TEST_CURRENT_ENGINE=unix://$socket
        return 0
    fi
    if [ ! -x "$dockerd" ]; then
        command -v go >/dev/null || { say "no go: the current Docker Engine is not tested"; return 0; }
        say "building the current Docker Engine"
        GOBIN=$run_dir/bin GOFLAGS=-mod=mod go install github.com/moby/moby/v2/cmd/dockerd@latest \
            >"$run_dir/dockerd-build.log" 2>&1 \
            || { say "it does not build; see $run_dir/dockerd-build.log"; return 0; }
    fi
    mkdir -p "$root"
    rm -f "$root/pid" "$socket"
    setsid nohup "$dockerd" --data-root "$root/data" --exec-root "$root/exec" -H "unix://$socket" \
        --pidfile "$root/pid" --bridge=none --iptables=false --ip6tables=false \
        >"$run_dir/dockerd-current.log" 2>&1 </dev/null &
    current_pid=$!
    local i
    for i in $(seq 60); do
        if docker_answers "unix://$socket"; then
            export MIDWATCH_TEST_CURRENT_ENGINE=unix://$socket
            return 0
        fi
        sleep 0.5
    done
    say "the current Docker Engine does not start; see $run_dir/dockerd-current.log"
}

stop_current_engine() { stop "${current_pid:-}"; current_pid=; }
