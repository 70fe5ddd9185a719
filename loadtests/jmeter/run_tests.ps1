# Plays JMeter's plans and judges them; `run_tests.ps1 --help` says how.
# The servers run on Linux: on Windows it all happens in the Windows Subsystem for Linux.
$ErrorActionPreference = 'Stop'
Set-Location (Join-Path $PSScriptRoot '../..')

if ($env:OS -eq 'Windows_NT') {
    if (-not (Get-Command wsl -ErrorAction SilentlyContinue)) {
        [Console]::Error.WriteLine('Linux is missing: run `wsl --install`, then `make install` in it.')
        exit 2
    }
    wsl sh loadtests/jmeter/run_tests.sh @args
    exit $LASTEXITCODE
}

$python = '.venv/bin/python'
if (-not (Test-Path $python)) {
    [Console]::Error.WriteLine("The Python environment is not made yet: run ``make install`` here first: $PWD")
    exit 2
}
if (-not $env:JAVA_HOME -and -not (Get-Command java -ErrorAction SilentlyContinue)) {
    [Console]::Error.WriteLine('Java is missing: install Java 17 or newer (Debian, Ubuntu: apt-get install openjdk-17-jdk-headless).')
    exit 2
}
& $python -m loadtests.jmeter @args
exit $LASTEXITCODE
