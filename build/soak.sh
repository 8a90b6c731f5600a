#!/usr/bin/env bash
# The long forms of the tests, hours in all. PART names the parts to run, all by default:
#   fuzz    every fuzz target for FUZZTIME (10m)
#   race    the backend under the race detector, COUNT times (20)
#   year    simulated years and other long forms of the backend
#   kills   1,000 kills during a refresh, for each kind of server
#   calls   a kill at every system call of a refresh, for each kind of server
#   disk    disks that are full, read-only or failing, until they heal
#   load    ten minutes of load, faults and disconnects under the race detector
#   relay   a gateway of three replicas that loses one and a NATS node; 10,000 apps on one relay
# For example: make soak PART="kills calls"; make soak PART=fuzz FUZZTIME=1m
set -euo pipefail
cd "$(dirname "$0")/.."

known="fuzz race year kills calls disk load relay"
parts=${PART:-$known}
fuzztime=${FUZZTIME:-10m}
count=${COUNT:-20}
targets=$(grep -rhE '^func Fuzz' --include='*_test.go' backend app | wc -l)

echo "About to run, one after the other (on two cores):"
for part in $parts; do
	case $part in
	fuzz) echo "  fuzz    $targets targets, $fuzztime each" ;;
	race) echo "  race    $count times about 3 minutes" ;;
	year) echo "  year    about 10 minutes" ;;
	kills) echo "  kills   about 10 minutes" ;;
	calls) echo "  calls   about 1 minute" ;;
	disk) echo "  disk    about 1 minute" ;;
	load) echo "  load    about 12 minutes" ;;
	relay) echo "  relay   about 4 minutes" ;;
	*) echo "There is no part $part. There are: $known" >&2; exit 2 ;;
	esac
done

# programs runs some of the tests on the built programs in their long form.
programs() {
	[ -x build/bin/e2e.soak ] || go test -c -tags e2e -o build/bin/e2e.soak ./app/e2e
	(cd app/e2e && KEYTURN_SOAK=1 KEYTURN_BIN=$PWD/../../build/bin ../../build/bin/e2e.soak -test.v -test.parallel 12 -test.timeout 1h -test.run "$1" | grep -v '^=== ')
}
rm -f build/bin/e2e.soak

for part in $parts; do
	echo "== $part, $(date +%T)"
	case $part in
	fuzz)
		for package in $(go list ./backend/... ./app/...); do
			for target in $(go test -list '^Fuzz' "$package" | grep '^Fuzz' || true); do
				echo "-- $package $target"
				go test "$package" -run '^$' -fuzz "^$target\$" -fuzztime "$fuzztime"
			done
		done
		;;
	race) go test -race -count "$count" -timeout 3h ./backend/... ;;
	year) KEYTURN_SOAK=1 go test -count 1 -timeout 2h ./backend/... ;;
	kills) programs '^TestKilledDuringARefresh' ;;
	calls) programs '^TestKilledAtEverySystemCall' ;;
	disk) programs '^(TestADisk|TestATokenThatCannotBeSaved|TestAKillBeforeAFailingDisk)' ;;
	load) programs '^TestSoak$' ;;
	relay) KEYTURN_SOAK=1 go test -count 1 -timeout 20m -v -run '^(TestNoCallbackIsLost|TestThousandsOfApps)' ./backend/relay/hub ;;
	esac
done
