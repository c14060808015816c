"""What is inside a bundle as a CycloneDX bill of materials: https://cyclonedx.org/specification/overview/"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib import metadata

from cyclonedx.factory.license import LicenseFactory
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from krew.contents import Collected, distributions, libraries, python_version
from krew.licences import BUILDER, licence_name

_LICENCES = LicenseFactory()


def bill_of_materials(collected: Collected, version: str, archive: str, sha256: str, epoch: int) -> str:
    """JSON. Its serial number and time follow from the archive, so that the same bundle has the same bill."""
    bom = Bom(components=_components(collected))
    program = Component(
        name="kubectl-memdoctor",
        version=version,
        type=ComponentType.APPLICATION,
        bom_ref="kubectl-memdoctor",
        licenses=[_LICENCES.make_from_string("Apache-2.0")],
        description=archive,
    )
    bom.metadata.component = program
    bom.metadata.timestamp = datetime.fromtimestamp(epoch, UTC)
    bom.serial_number = uuid.uuid5(uuid.NAMESPACE_URL, f"sha256:{sha256}")
    bom.register_dependency(program, bom.components)
    printed: str = JsonV1Dot6(bom).output_as_string(indent=2)
    return printed + "\n"


def _components(collected: Collected) -> Iterator[Component]:
    yield _component("python", python_version(), "PSF-2.0", PackageURL("generic", None, "python", python_version()))
    for found in [*distributions(collected), metadata.distribution(BUILDER)]:
        yield _component(
            found.name, found.version, licence_name(found), PackageURL("pypi", None, found.name, found.version)
        )
    for library in libraries(collected):
        version = library.version or None
        yield _component(library.name, version, library.licence, PackageURL("generic", None, library.name, version))


def _component(name: str, version: str | None, licence: str, url: PackageURL) -> Component:
    return Component(
        name=name,
        version=version,
        type=ComponentType.LIBRARY,
        bom_ref=str(url),
        purl=url,
        licenses=[_LICENCES.make_from_string(licence)],
    )
