defmodule Foo.SsmFile do
  # Reads the file that `aws ssm get-parameters-by-path --query "Parameters[]"` makes, by the rules
  # of AwsSsmProvider: two parts of the name do not count, the third is the application, and a last
  # one may say the type.
  @behaviour Config.Provider

  def init(path), do: path

  def load(config, path) do
    {:ok, _} = Application.ensure_all_started(:jiffy)

    for %{"Name" => name, "Value" => value} <- :jiffy.decode(File.read!(path), [:return_maps]),
        reduce: config do
      merged -> Config.Reader.merge(merged, entry(name, value))
    end
  end

  defp entry(name, value) do
    [_, _ | parts] = String.split(name, "/", trim: true)
    parts |> Enum.map(&String.to_atom/1) |> Enum.reverse() |> Enum.reduce(value, &wrap/2)
  end

  defp wrap(:Integer, value), do: String.to_integer(value)
  defp wrap(:Atom, value), do: String.to_atom(value)
  defp wrap(part, value), do: [{part, value}]
end
