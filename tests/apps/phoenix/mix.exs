# A release as small as one can be, which tells what it was configured with.
defmodule Foo.MixProject do
  use Mix.Project

  def project do
    [
      app: :foo,
      version: "1.0.0",
      deps: [],
      releases: [
        foo: [
          include_executables_for: [:unix],
          config_providers: [{Foo.SsmFile, "/etc/foo/ssm.json"}]
        ]
      ]
    ]
  end

  def application do
    [mod: {Foo, []}, extra_applications: [:jiffy]]
  end
end
